"""Jobs of a database that was restored: what was to be done there may have been done since."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django_q.models import OrmQ

from kjxlkj.jobs import messages, transitions
from kjxlkj.jobs.models import Canary, Job, JobQuerySet, JobStatus, Slot
from kjxlkj.jobs.registry import JobKind, kinds
from kjxlkj.jobs.services import announce
from kjxlkj.jobs.transitions import Refund

RESTORED = "RESTORED"
_QUEUED = "It was at work when the backup was taken from which the database was restored, and is done again."
_FAILED = (
    "It was not finished when the backup was taken from which the database was restored. It may have been done after "
    "that, and what it does is felt outside of the database: to try it again does it again."
)
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Revived:
    queued: int = 0
    failed: int = 0


@transaction.atomic
def revive() -> Revived:
    """Before anybody works on it: each unfinished job fails with RESTORED or goes back to the queue, by what it does.

    Nobody's lease holds any more, and no message: those who were at work elsewhere find neither.
    """
    for model in (OrmQ, Slot, Canary):
        model.objects.all().delete()
    queued = failed = 0
    for kind in kinds():
        given_back = transitions.give_back(kind.model, "true", code=RESTORED, detail=_QUEUED, refund=Refund.FULL)
        were_running = {job.pk for job in given_back}
        cancelled = [job for job in given_back if job.is_finished]
        announce(kind, cancelled, JobStatus.RUNNING)
        failed += len(cancelled)
        unfinished: JobQuerySet[Any] = JobQuerySet(kind.model).filter(status=JobStatus.QUEUED)
        waiting: list[Job] = []
        for job in unfinished.order_by("created_at").iterator(_BATCH):
            if not kind.acts_outside(job):
                waiting.append(job)
                continue
            previous = JobStatus.RUNNING if job.pk in were_running else JobStatus.QUEUED
            announce(kind, transitions.fail_queued(kind.model, job.pk, RESTORED, _FAILED), previous)
            failed += 1
        _wake(kind, waiting)
        announce(kind, [job for job in waiting if job.pk in were_running], JobStatus.RUNNING)
        queued += len(waiting)
    return Revived(queued, failed)


def _wake(kind: JobKind[Any], jobs: list[Job]) -> None:
    for start in range(0, len(jobs), _BATCH):
        messages.post(kind.model, jobs[start : start + _BATCH])
