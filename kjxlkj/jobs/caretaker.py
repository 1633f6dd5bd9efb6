"""What a supervisor does with the database, on a thread and a connection of its own."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from kjxlkj.jobs import canaries, health, recovery
from kjxlkj.jobs.child import Child
from kjxlkj.jobs.processes import resident_megabytes

logger = logging.getLogger(__name__)

_RETIRE_SECONDS = 5.0


class Caretaker:
    """Sweeps, gives back what dead workers held, and judges by their signs of life which clusters have stalled."""

    def __init__(self, clusters: Sequence[Child]) -> None:
        self._clusters = clusters
        # Nobody is judged by what was to be seen before: a `monotonic()`.
        self._judge_from = 0.0
        # MB that each holder of a lease was last seen using, by owner.
        self._memory: dict[str, int] = {}
        # Clusters that were silent at the last look, and who held leases in those that were killed for it.
        self._silent: set[str] = set()
        self._killed: set[str] = set()
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

    def retire(self) -> None:
        """Give back what the stopped workers held. A database that does not answer is not waited for."""
        retiring = threading.Thread(target=self._retire, name="retiring", daemon=True)
        retiring.start()
        retiring.join(_RETIRE_SECONDS)
        if retiring.is_alive():
            logger.warning("The database does not answer; leases of the stopped workers run out by themselves.")

    def _retire(self) -> None:
        try:
            for cluster in self._clusters:
                recovery.retire(cluster.name)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The database is away; leases of the stopped workers run out by themselves: %s", error)
        finally:
            connection.close()

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
            # Without it nobody can answer: that is no proof against anybody. And workers that waited for it too
            # come first with what they have to say of their jobs.
            self._judge_from = time.monotonic()
            self._due[self._sweep] = time.monotonic() + settings.JOB_SWEEP_SECONDS

    def _sweep(self) -> None:
        swept = recovery.sweep()
        if swept.given_back or swept.woken:
            logger.warning("sweep: %s jobs taken back from lost workers, %s woken", swept.given_back, swept.woken)

    def _look(self) -> None:
        for cluster in self._clusters:
            self._give_back_from_the_dead(cluster)
            canaries.ask(cluster.name, cluster.queue, cluster.workers)
        silent_for = {cluster.name: cluster.silent_for for cluster in health.clusters()}
        for cluster in self._clusters:
            # One that has just been started is given as long to come up.
            judged_for = time.monotonic() - max(self._judge_from, cluster.started_at)
            is_silent = min(judged_for, silent_for.get(cluster.name, 0.0)) > settings.JOB_STALL_SECONDS
            # At two looks: it may have been us who were stopped, or our database, or the machine asleep. Then it
            # was asked only now, and has until the next look to answer.
            if is_silent and cluster.name in self._silent:
                self._killed |= recovery.holders(cluster.name)
                cluster.has_stalled = True
            (self._silent.add if is_silent else self._silent.discard)(cluster.name)

    def _give_back_from_the_dead(self, cluster: Child) -> None:
        # In this order: whoever held a lease before we counted the living, and is not among them, is dead.
        owners = recovery.holders(cluster.name)
        living = {f"{cluster.name}/{process_id}": process_id for process_id in cluster.process_ids} if owners else {}
        for owner in owners - living.keys():
            if owner in self._killed:
                self._killed.discard(owner)  # another worker may come by the same number
                recovery.give_back_from_stalled(owner)
            else:
                used = self._memory.get(owner)
                recovery.lose(owner, f"It was last seen using {used:,} MB of memory." if used else "")
        for owner in owners & living.keys():
            self._memory[owner] = resident_megabytes(living[owner])
