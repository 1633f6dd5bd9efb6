"""What somebody outside of the workers does so that nothing is lost when they die: sweep and release."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django_q.models import OrmQ

from kjxlkj.jobs import canaries, messages, transitions
from kjxlkj.jobs.bounded import bounded_transaction
from kjxlkj.jobs.models import JobQuerySet, JobStatus
from kjxlkj.jobs.registry import JobKind, chores, kinds
from kjxlkj.jobs.services import after_give_back
from kjxlkj.jobs.transitions import Refund

logger = logging.getLogger(__name__)

# At most so many rows in one transaction; the next sweep takes the next.
_BATCH = 1000
_SWEEP_LOCK = 0x6B6A786C  # any number that nobody else uses for an advisory lock

_CLUSTER_STALLED = "The workers gave no sign of life any more, and were started anew while this job was running."
_CLUSTER_STOPPED = "The workers were stopped while this job was running."


@dataclass(frozen=True, slots=True)
class Swept:
    given_back: int = 0
    woken: int = 0


def sweep() -> Swept:
    """Give expired leases back and wake queued jobs that nothing will wake, one sweep at a time over all hosts; then
    do the chores of the apps."""
    given_back = woken = 0
    for kind in kinds():
        with bounded_transaction():
            if not _only_sweeper():
                continue
            lost = transitions.lose(kind.model, "lease_expires_at <= clock_timestamp()", "")
            after_give_back(kind, lost)
            forgotten = list(_forgotten(kind).select_for_update(no_key=True, skip_locked=True)[:_BATCH])
            messages.post(kind.model, forgotten)
        given_back += len(lost)
        woken += len(forgotten)
    canaries.forget_the_gone()
    for chore in chores():
        _do(chore)
    return Swept(given_back, woken)


def _do(chore: Callable[[], object]) -> None:
    try:
        chore()
    except (DatabaseError, InterfaceError):
        raise  # whoever sweeps knows what to do
    except Exception:
        # Broad, for the others' sake, and for that of the next sweep.
        logger.exception("a chore failed")


def _only_sweeper() -> bool:
    """Two sweeps at once would do no harm but lock workspaces in different orders, and wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_SWEEP_LOCK])
        return bool(cursor.fetchone()[0])


def _forgotten(kind: JobKind[Any]) -> JobQuerySet[Any]:
    """Due jobs whose message is gone, or lies in a queue that nobody serves any more, or was taken a sweep ago by a
    cluster that died, or has no worker free.

    Another message does no harm: it waits in the queue for whoever is free first, and while it waits there is no third.
    """
    taken_until = timedelta(seconds=settings.JOB_REDELIVERY_SECONDS - settings.JOB_SWEEP_SECONDS)
    message = OrmQ.objects.filter(
        Q(lock__lte=Now()) | Q(lock__gt=Now() + taken_until), pk=OuterRef("message_id"), key__in=settings.JOB_QUEUES
    )
    jobs: JobQuerySet[Any] = JobQuerySet(kind.model)
    return jobs.due().filter(~Exists(message)).order_by("created_at")


def holders(cluster: str) -> set[str]:
    """Who in `cluster` holds a lease, as `<cluster>/<process id>`."""
    return {
        owner
        for kind in kinds()
        for owner in JobQuerySet(kind.model)
        .filter(status=JobStatus.RUNNING, lease_owner__startswith=f"{cluster}/")
        .values_list("lease_owner", flat=True)
    }


def lose(owner: str, note: str) -> int:
    """Give back at once what a process held that is known to be dead, without waiting for its lease to run out.

    `note` is what else is known of its death, for people.
    """
    lost = 0
    for kind in kinds():
        with bounded_transaction():
            jobs = transitions.lose(kind.model, "lease_owner = %(owner)s", note, owner=owner)
            after_give_back(kind, jobs)
        lost += len(jobs)
    return lost


def give_back_from_stalled(owner: str) -> None:
    """What a worker held that was killed with its cluster, since that had stalled: hardly by this job."""
    _give_back([owner], "CLUSTER_STALLED", _CLUSTER_STALLED, Refund.INTERRUPTED)


def retire(cluster: str) -> None:
    """A cluster that was stopped on purpose: its jobs go back to the queue, its canary and its queue go."""
    _give_back(holders(cluster), "WORKER_STOPPED", _CLUSTER_STOPPED, Refund.FULL)
    canaries.forget([cluster])


def _give_back(owners: Iterable[str], code: str, detail: str, refund: Refund) -> None:
    which, held_by = "lease_owner = ANY(%(owners)s)", list(owners)
    for kind in kinds():
        with bounded_transaction():
            jobs = transitions.give_back(kind.model, which, code=code, detail=detail, refund=refund, owners=held_by)
            after_give_back(kind, jobs)
