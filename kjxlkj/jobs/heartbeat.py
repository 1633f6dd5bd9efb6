"""The thread that looks after the leases of this process, on a connection of its own.

One for all of them, one job after another: to start a thread takes longer than a short job does.
"""

import logging
import threading
import time
from typing import Protocol

from django.db import connection

from kjxlkj.jobs.transitions import renewal_seconds

logger = logging.getLogger(__name__)

# The most that reported progress and a person's cancel lag behind.
_TICK_SECONDS = 1.0


class Beating(Protocol):
    def beat(self) -> None: ...


class Heart:
    def __init__(self) -> None:
        self._leases: set[Beating] = set()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def keep(self, lease: Beating) -> None:
        with self._starting:
            # Not alive after a fork, too: threads do not come along.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
                self._thread.start()
        self._leases.add(lease)

    def let_go(self, lease: Beating) -> None:
        self._leases.discard(lease)

    def _run(self) -> None:
        before: set[Beating] = set()
        while True:
            time.sleep(min(_TICK_SECONDS, renewal_seconds() / 2))
            there = self._leases.copy()
            # Those that have been there for a tick: short jobs come and go without a statement of ours.
            for lease in there & before:
                self._beat(lease)
            if before and not there:
                connection.close()
            before = there

    def _beat(self, lease: Beating) -> None:
        try:
            lease.beat()
        except Exception:
            # Broad, for the others' sake: one lease that cannot be looked after runs out, and its work stops.
            logger.exception("a lease could not be looked after")


heart = Heart()
