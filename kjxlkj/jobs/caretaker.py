"""What a supervisor does with the database, on a thread and a connection of its own."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from kjxlkj.jobs import recovery
from kjxlkj.jobs.child import Child

logger = logging.getLogger(__name__)


class Caretaker:
    """Sweeps, releases what dead workers held, and judges by their canaries which clusters have stalled."""

    def __init__(self, clusters: Sequence[Child]) -> None:
        self._clusters = clusters
        # When each cluster was last known to be well, or not to be judged: a `monotonic()`.
        self._well_at = {cluster.name: 0.0 for cluster in clusters}
        self._due: dict[Callable[[], None], float] = {self._look: 0.0, self._sweep: 0.0}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def tend(self) -> None:
        """Be at work: at first, and again after an error that nobody foresaw (the thread has told of it)."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            # Not for ever: the database may not answer, and the thread dies with the process.
            self._thread.join(timeout=2)

    def _run(self) -> None:
        periods = {self._look: settings.JOB_CANARY_SECONDS, self._sweep: settings.JOB_SWEEP_SECONDS}
        try:
            while not self._stopping.wait(0.2):
                for task, period in periods.items():
                    if time.monotonic() >= self._due[task]:
                        self._due[task] = time.monotonic() + period
                        self._attempt(task)
        finally:
            connection.close()

    def _attempt(self, task: Callable[[], None]) -> None:
        try:
            close_old_connections()
            task()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The database cannot be used, trying again: %s", error)
            connection.close()
            # Without it nobody can answer: that is no proof against anybody.
            self._well_at = dict.fromkeys(self._well_at, time.monotonic())

    def _sweep(self) -> None:
        swept = recovery.sweep()
        if swept.given_back or swept.woken:
            logger.warning("sweep: %s jobs taken back from lost workers, %s woken", swept.given_back, swept.woken)

    def _look(self) -> None:
        for cluster in self._clusters:
            self._release_from_the_dead(cluster)
            pulse = recovery.ask_canary(cluster.name, cluster.queue, cluster.workers)
            now = time.monotonic()
            # One that has just been started is given as long again to come up.
            if pulse.answered or pulse.busy or now < cluster.started_at + settings.JOB_STALL_SECONDS:
                self._well_at[cluster.name] = now
            elif now - self._well_at[cluster.name] > settings.JOB_STALL_SECONDS:
                cluster.has_stalled = True

    def _release_from_the_dead(self, cluster: Child) -> None:
        # In this order: whoever held a lease before we counted the living, and is not among them, is dead.
        owners = recovery.holders(cluster.name)
        if owners:
            living = {f"{cluster.name}/{process_id}" for process_id in cluster.process_ids}
            recovery.release(owners - living, refund=False)
