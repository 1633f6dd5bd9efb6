"""The thread that looks after the leases of this process, on a connection of its own.

One for all of them, one job after another: to start a thread takes longer than a short job does.
"""

import logging
import os
import threading
import time
from typing import Protocol

from django.conf import settings
from django.db import connection

from kjxlkj.jobs.transitions import RENEWALS

logger = logging.getLogger(__name__)

# The most that reported progress and a person's cancel lag behind.
_TICK_SECONDS = 1.0


class Beating(Protocol):
    def beat(self) -> None: ...


class Heart:
    def __init__(self) -> None:
        self._leases: set[Beating] = set()
        self._process_id = 0

    def keep(self, lease: Beating) -> None:
        self._leases.add(lease)
        if self._process_id != os.getpid():  # threads do not come along with a fork
            self._process_id = os.getpid()
            threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def let_go(self, lease: Beating) -> None:
        self._leases.discard(lease)

    def _run(self) -> None:
        before: set[Beating] = set()
        while True:
            time.sleep(min(_TICK_SECONDS, settings.JOB_LEASE_SECONDS / (2 * RENEWALS)))
            there = set(self._leases)
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
