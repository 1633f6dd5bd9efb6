"""Web requests that wait for something to happen: a process has places for so many, and its stop ends them at once."""

import os
from collections.abc import Callable

# Beside the threads for pages: whoever waits keeps a thread, and none of those.
PLACES = int(os.environ.get("KJXLKJ_WEB_READERS", 32))

_at_stop: list[Callable[[], None]] = []


def at_stop(act: Callable[[], None]) -> None:
    """Have `act` called as soon as this process is told to stop. It runs in a signal handler: it must be short."""
    _at_stop.append(act)


def stop() -> None:
    for act in _at_stop:
        act()
