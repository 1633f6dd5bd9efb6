"""Holds errands at a chosen moment: what happens then happens at that moment and at no other."""

from django_q.models import OrmQ

from tests.faults.server import Server
from tests.jobs.conftest import wait_for
from tests.jobs.testapp.models import Errand, Moment
from tests.jobs.testapp.pauses import HOLD, number_of


class Gate:
    """A context manager: from its entry on errands with that `pause_at` wait there, until it is opened or left."""

    def __init__(self, server: Server, moment: Moment) -> None:
        self._connection = server.connect()
        self._moment = moment

    def __enter__(self) -> "Gate":
        self._connection.execute("SELECT pg_advisory_lock(%s, %s)", self._keys)
        return self

    def __exit__(self, *raised: object) -> None:
        self._connection.close()

    @property
    def _keys(self) -> tuple[int, int]:
        return HOLD, number_of(self._moment)

    def open(self) -> None:
        self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", self._keys)

    def hold_acknowledgement(self, errand: Errand) -> None:
        """From now on nobody can delete the messages about an errand that waits here, until the gate is left."""
        about = [queued.pk for queued in OrmQ.objects.all() if str(errand.pk) in queued.task["args"]]
        self._connection.autocommit = False
        self._connection.execute("SELECT FROM django_q_ormq WHERE id = ANY(%s) FOR UPDATE", [about])

    def waiting(self) -> list[str]:
        """Who waits for what we hold: the process ids of workers, for others whatever they call themselves."""
        self._connection.execute("SELECT pg_stat_clear_snapshot()")  # or a transaction sees the same for ever
        rows = self._connection.execute(
            "SELECT application_name FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return [name for (name,) in rows]

    def wait_for_worker(self, seconds: float = 60) -> int:
        """The process id of a worker that waits here."""
        # A connection that has just been made bears no name for a moment.
        workers = wait_for(lambda: [name for name in self.waiting() if name.isdigit()], seconds)
        return int(workers[0])

    def open_until_acknowledgement(self) -> None:
        """Let the worker go on, and wait until nothing but its message is left to delete."""
        self.open()
        wait_for(self.waiting, 60)
