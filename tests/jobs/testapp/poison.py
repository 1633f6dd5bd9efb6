"""Errands that are bad for whoever runs them."""

import importlib
import time
from collections import deque
from collections.abc import Callable
from itertools import repeat

from kjxlkj.jobs.lease import Lease
from tests.jobs.testapp.models import Errand

# Were nobody to stop it, the machine that runs the tests should still stand.
_MOST_MEGABYTES = 1500


def _loop(errand: Errand, lease: Lease) -> None:
    while True:
        pass


def _sleep(errand: Errand, lease: Lease) -> None:
    time.sleep(1000)


def _shrug_off_errors(errand: Errand, lease: Lease) -> None:
    while True:
        try:
            time.sleep(1000)
        except Exception:  # noqa: BLE001 - what it is there to show
            continue


def _shrug_off_everything(errand: Errand, lease: Lease) -> None:
    while True:
        try:
            time.sleep(1000)
        except BaseException:  # noqa: BLE001 - what it is there to show
            continue


def _seize(errand: Errand, lease: Lease) -> None:
    """Never comes back to the interpreter: no other thread runs any more, and no signal handler."""
    deque(repeat(None), maxlen=0)


def _bloat(errand: Errand, lease: Lease) -> None:
    held = []
    for _ in range(_MOST_MEGABYTES):
        held.append(b"x" * 1_000_000)
        time.sleep(0.001)
    raise MemoryError("nobody stopped it")


def _import_nothing(errand: Errand, lease: Lease) -> None:
    importlib.import_module("tests.jobs.testapp.nowhere")


SCRIPTS: dict[str, Callable[[Errand, Lease], None]] = {
    "loop": _loop,
    "sleep": _sleep,
    "shrug_off_errors": _shrug_off_errors,
    "shrug_off_everything": _shrug_off_everything,
    "seize": _seize,
    "bloat": _bloat,
    "import_nothing": _import_nothing,
}
