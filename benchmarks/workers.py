"""The workers of an installation, as its supervisor runs them."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kjxlkj.jobs.child import Child

# So long we wait for what should be there in less, before we call it broken.
PATIENCE_SECONDS = 900

_MANAGE = str(Path(__file__).parents[1] / "manage.py")


@contextmanager
def workers(queues: str = "default:2") -> Iterator["Child"]:
    """The supervisor with its workers and without web, once they answer; all of it stopped afterwards."""
    from kjxlkj.jobs import health

    with running("supervisor", [sys.executable, _MANAGE, "supervise"], KJXLKJ_QUEUES=queues) as supervisor:
        wait_until(lambda: health.snapshot()["ready"], supervisor)
        yield supervisor


@contextmanager
def running(name: str, command: Sequence[str], **environment: str) -> Iterator["Child"]:
    from kjxlkj.jobs.child import Child

    child = Child(name=name, command=command, environment=environment)
    child.start()
    try:
        yield child
    finally:
        child.ask_to_stop()
        with suppress(RuntimeError):
            wait_until(lambda: not child.is_running, None, patience=30)
        child.kill()


def wait_until(
    reached: Callable[[], bool], child: "Child | None", *, patience: float = PATIENCE_SECONDS, look: float = 0.1
) -> None:
    """Raises RuntimeError when `child` has ended, or patience has."""
    deadline = time.monotonic() + patience
    while not reached():
        if child is not None and not child.is_running:
            raise RuntimeError(f"The {child.name} has ended.")
        if time.monotonic() > deadline:
            raise RuntimeError(f"Not there after {patience:.0f} s.")
        time.sleep(look)
