"""Starts web and workers, restarts what dies or stalls, and leaves nothing behind when it stops.

The main thread looks after processes and signals; a second one (`caretaker`) does everything that needs the
database, so that a database that hangs delays no signal.
"""

import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

import psutil
from django.conf import settings
from django.db import connection

from kjxlkj.errors import Conflict
from kjxlkj.jobs.caretaker import Caretaker
from kjxlkj.jobs.child import Child

logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
# The last is of a terminal that was closed.
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# The embedded server writes everything to disk before it ends.
_DATABASE_STOP_SECONDS = 30.0


class Supervisor:
    """`run()` returns when a signal has been obeyed: SIGTERM and SIGINT stop in order, a second one stops at once."""

    def __init__(self, *, bind: str | None, queues: dict[str, int], on_ready: Callable[[], None] | None = None):
        """`bind`: where the web server listens, None for workers only. `on_ready` is called once it accepts."""
        # Unique, for it names leases, canaries and a queue: two containers can have one host name and process id.
        name = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(3)}"
        self._web = _web(bind) if bind else None
        self._bind = bind
        self._clusters = [_cluster(f"{name}:{queue}", queue, workers) for queue, workers in queues.items() if workers]
        self._on_ready = on_ready
        self._signals = 0

    @property
    def _children(self) -> Sequence[Child]:
        return [*([self._web] if self._web else []), *self._clusters]

    def run(self) -> None:
        """Raises Conflict if somebody else listens at `bind`."""
        if self._bind:
            refuse_if_taken(self._bind)
        before = {number: signal.signal(number, self._heed) for number in _STOP_SIGNALS}
        caretaker = Caretaker(self._clusters)
        try:
            for child in self._children:
                child.start()
            while not self._signals:
                caretaker.tend()
                for child in self._children:
                    _tend(child)
                self._tell_when_ready()
                time.sleep(_TICK_SECONDS)
        finally:
            caretaker.stop()
            self._stop()
            caretaker.retire()
            connection.close()
            _let_go_of_database(_DATABASE_STOP_SECONDS if self._signals < 2 else _TICK_SECONDS)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _tell_when_ready(self) -> None:
        if self._on_ready is not None and (self._bind is None or _accepts(self._bind)):
            self._on_ready()
            self._on_ready = None

    def _stop(self) -> None:
        """Ask, wait, kill."""
        for child in self._children:
            child.ask_to_stop()
        deadline = time.monotonic() + settings.JOB_GRACE_SECONDS
        while self._signals < 2 and time.monotonic() < deadline and any(c.is_running for c in self._children):
            time.sleep(_TICK_SECONDS)
        for child in self._children:
            child.kill()


def _tend(child: Child) -> None:
    """Where no process can be started or looked at now, that passes: the others must not go down with it."""
    try:
        child.tend()
    except (OSError, psutil.Error):
        logger.exception("%s cannot be looked after, trying again", child.name)


def _let_go_of_database(seconds: float) -> None:
    """An embedded server that nobody else uses has stopped when this returns: nothing is left running."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] != "kjxlkj.embedded_postgres":
        return
    # Not there, or not to be touched, with a server of somebody else's.
    from kjxlkj.embedded_postgres.server import release_and_wait

    if not release_and_wait(database["EMBEDDED_DATA_DIR"], seconds):
        logger.warning("The embedded database is still stopping.")


def _web(bind: str) -> Child:
    return Child(
        name="web",
        command=[sys.executable, "-m", "gunicorn", "-c", "python:kjxlkj.jobs.web"],
        environment={"KJXLKJ_BIND": bind, "KJXLKJ_SUPERVISOR": str(os.getpid())},
    )


def _cluster(name: str, queue: str, workers: int) -> Child:
    return Child(
        name=name,
        command=[sys.executable, "-m", "kjxlkj.jobs.cluster"],
        environment={"KJXLKJ_CLUSTER": name, "Q_CLUSTER_NAME": queue, "KJXLKJ_SUPERVISOR": str(os.getpid())},
        queue=queue,
        workers=workers,
    )


def _address(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    return host.strip("[]"), int(port)


def refuse_if_taken(bind: str) -> None:
    """Before anything is started: gunicorn would only try again and again. Raises Conflict ADDRESS_IN_USE."""
    host, port = _address(bind)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Conflict(
                "ADDRESS_IN_USE", f"Cannot listen at {bind} ({error.strerror}): choose another port."
            ) from error


def _accepts(bind: str) -> bool:
    host, port = _address(bind)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to connect, not to bind
    try:
        with socket.create_connection((host, port), timeout=0.2):
            return True
    except OSError:
        return False
