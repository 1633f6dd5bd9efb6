"""The right to work at a job: held for a minute at a time, renewed by a heartbeat, checked before every effect."""

import logging
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from kjxlkj.jobs import heartbeat, transitions
from kjxlkj.jobs.models import Job
from kjxlkj.jobs.outcomes import Cancelled, LeaseLost
from kjxlkj.jobs.transitions import Progress

logger = logging.getLogger(__name__)


class Lease:
    """What work may ask of its job while it runs. A context manager: the heartbeat beats inside."""

    def __init__(self, job: Job, token: UUID, *, claimed_at: float) -> None:
        """`claimed_at`: a `monotonic()` from before the claim was sent, so we never think the lease longer."""
        self.job = job
        self.token = token
        self.reported = Progress(job.progress_done, job.progress_total, job.progress_label)
        self._shown = self.reported
        self._deadline = claimed_at + settings.JOB_LEASE_SECONDS
        self._lost = False
        self._cancelled = False
        self._renew_at = monotonic() + transitions.renewal_seconds()

    def check(self) -> None:
        """Cheap, for inner loops. Raises LeaseLost or Cancelled: let it pass, and leave nothing half done."""
        if self._lost or monotonic() >= self._deadline:
            raise LeaseLost
        if self._cancelled:
            raise Cancelled

    def guard(self) -> None:
        """For work that commits in steps: call it first in each transaction. Raises as `check`, but for certain.

        Until that transaction ends nobody can take the job over.
        """
        if not connection.in_atomic_block:
            raise RuntimeError("Lease.guard() holds for the rest of a transaction: call it inside of atomic().")
        self._heed(transitions.hold(type(self.job), self.job.pk, self.token))
        if self._lost:
            raise LeaseLost
        if self._cancelled:
            raise Cancelled

    def progress(self, done: int, total: int | None = None, label: str = "") -> None:
        """Cheap: the heartbeat writes it, at most once a second."""
        self.reported = Progress(done, total, label[:200])

    def __enter__(self) -> "Lease":
        if connection.in_atomic_block:
            # A second connection would not see the row: no heartbeat can beat (a test inside of its transaction).
            self._deadline = float("inf")
        else:
            heartbeat.heart.keep(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A renewal that is on its way finds no such token any more, and does nothing.
        heartbeat.heart.let_go(self)

    def beat(self) -> None:
        """Called each second by the heartbeat, on its thread."""
        if self._lost:
            return
        if monotonic() >= self._renew_at or self.reported != self._shown:
            self._ask(self._renew)
            self._renew_at = monotonic() + transitions.renewal_seconds()
        else:
            self._ask(self._look)

    def _ask(self, question: Callable[[], None]) -> None:
        try:
            question()
        except (DatabaseError, InterfaceError) as error:
            # The database may be back before the lease is over; until then work that checks goes on.
            logger.warning("job %s: its lease could not be looked after: %s", self.job.pk, error)
            connection.close()

    def _renew(self) -> None:
        sent_at, progress = monotonic(), self.reported
        self._heed(transitions.renew(type(self.job), self.job.pk, self.token, progress))
        self._deadline, self._shown = sent_at + settings.JOB_LEASE_SECONDS, progress

    def _look(self) -> None:
        """A person who cancels the job does not wait for the next renewal."""
        self._heed(transitions.look(type(self.job), self.job.pk, self.token))

    def _heed(self, cancel_requested: bool | None) -> None:
        self._lost = self._lost or cancel_requested is None
        self._cancelled = self._cancelled or bool(cancel_requested)
