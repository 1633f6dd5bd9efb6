"""Wakes those who wait for events: one thread and one database connection of this process listen for all of them."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import Error, connection

from kjxlkj.jobs.waiting import PLACES, at_stop

logger = logging.getLogger(__name__)

CHANNEL = "kjxlkj_events"
# To everybody: who sees what may have changed.
EVERYBODY = ""

# Between looks for what no notification told of: a pooler in transaction mode lets none through.
_LOOK_SECONDS = 1.0
# The connection is kept so long for the next who waits.
_LINGER_SECONDS = 5.0


class Seat:
    """Of one who waits. What rings before `wait` is not lost: look at the database between `clear` and `wait`."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._workspace_ids: frozenset[UUID] | None = None

    def clear(self) -> None:
        self._rung.clear()

    def wait(self, seconds: float, workspace_ids: frozenset[UUID]) -> bool:
        """Until something has happened in one of the workspaces. False: time is over."""
        self._workspace_ids = workspace_ids
        return self._rung.wait(seconds)

    def hear(self, changed: frozenset[UUID] | None) -> None:
        """None: whatever it waits for may have happened."""
        if changed is None or self._workspace_ids is None or changed & self._workspace_ids:
            self._rung.set()


class Bell:
    def __init__(self, places: int) -> None:
        self.places = places
        self._lock = threading.Lock()
        self._seats: set[Seat] = set()
        self._thread: threading.Thread | None = None
        self._stopped = False
        # Workspaces of which a notification told since the last look.
        self._told: set[UUID] = set()

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    @contextmanager
    def seat(self) -> Iterator[Seat | None]:
        """None: all places are taken, or this process is about to stop. Nobody may wait then."""
        with self._lock:
            seat = Seat() if len(self._seats) < self.places and not self._stopped else None
            if seat is not None:
                self._seats.add(seat)
                self._have_thread()
        try:
            yield seat
        finally:
            if seat is not None:
                with self._lock:
                    self._seats.discard(seat)

    def _have_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._listen, name="bell", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Nobody waits any more. Called by a signal handler, in the main thread, which never takes a seat."""
        self._stopped = True
        self._ring(None)

    def _ring(self, changed: frozenset[UUID] | None) -> None:
        with self._lock:
            seats = list(self._seats)
        for seat in seats:
            seat.hear(changed)

    def _listen(self) -> None:
        """The thread: until nobody has waited for a while."""
        while self._is_wanted():
            try:
                with _listening() as own:
                    self._serve(own)
            except Error as error:
                logger.warning("New events cannot be heard of, trying again: %s", error)
                time.sleep(_LOOK_SECONDS)

    def _is_wanted(self) -> bool:
        with self._lock:
            wanted = bool(self._seats) and not self._stopped
            if not wanted:
                self._thread = None
        return wanted

    def _serve(self, own: Any) -> None:
        seqs = _last_numbers(own)
        # What happened while nobody listened, nobody was told of.
        self._ring(None)
        last_wanted = time.monotonic()
        while not self._stopped and time.monotonic() - last_wanted < _LINGER_SECONDS:
            with own.wrap_database_errors:
                for notify in own.connection.notifies(timeout=_LOOK_SECONDS):
                    self._tell(notify.payload)
            before, seqs = seqs, _last_numbers(own)
            untold = {each for each, seq in seqs.items() if before.get(each) != seq} - self._told
            self._told.clear()
            if untold:
                self._ring(None)
            if self._seats:
                last_wanted = time.monotonic()

    def _tell(self, payload: str) -> None:
        try:
            workspace_id = UUID(payload)
        except ValueError:  # EVERYBODY
            self._ring(None)
        else:
            self._told.add(workspace_id)
            self._ring(frozenset([workspace_id]))


@contextmanager
def _listening() -> Iterator[Any]:
    own = connection.copy()
    try:
        own.connect()
        with own.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        yield own
    finally:
        own.close()


def _last_numbers(own: Any) -> dict[UUID, int]:
    with own.cursor() as cursor:
        cursor.execute("SELECT id, event_seq FROM workspaces_workspace")
        return dict(cursor.fetchall())


bell = Bell(PLACES)
at_stop(bell.stop)
