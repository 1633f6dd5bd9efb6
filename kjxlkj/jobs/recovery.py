"""What somebody outside of the workers does so that nothing is lost when they die: sweep, release, canaries."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Now
from django_q.models import OrmQ

from kjxlkj.jobs import messages, transitions
from kjxlkj.jobs.models import Canary, Job, JobQuerySet, JobStatus
from kjxlkj.jobs.registry import JobKind, kinds
from kjxlkj.jobs.services import after_give_back

# At most so many rows in one transaction; the next sweep takes the next.
_BATCH = 1000
_SWEEP_LOCK = 0x6B6A786C  # any number that nobody else uses for an advisory lock

_WORKER_LOST = "The worker that held this job was not heard from any more: killed, out of memory, or its host is gone."
_CLUSTER_STOPPED = "The workers were stopped while this job was running."


@dataclass(frozen=True, slots=True)
class Swept:
    given_back: int = 0
    woken: int = 0


def sweep() -> Swept:
    """Give expired leases back and wake queued jobs that nothing will wake. One sweep at a time over all hosts."""
    given_back = woken = 0
    for kind in kinds():
        with transaction.atomic():
            if not _only_sweeper():
                continue
            lost = transitions.give_back(
                kind.model, "lease_expires_at <= clock_timestamp()", code="WORKER_LOST", detail=_WORKER_LOST
            )
            after_give_back(kind, lost)
            forgotten = list(_forgotten(kind).select_for_update(no_key=True, skip_locked=True)[:_BATCH])
            messages.post(kind.model, forgotten)
        given_back += len(lost)
        woken += len(forgotten)
    return Swept(given_back, woken)


def _only_sweeper() -> bool:
    """Two sweeps at once would do no harm but lock workspaces in different orders, and wait for each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_SWEEP_LOCK])
        return bool(cursor.fetchone()[0])


def _forgotten(kind: JobKind[Any]) -> JobQuerySet[Any]:
    """Due jobs whose message is gone, or was taken a sweep ago by a cluster that died, or has no worker free.

    Another message does no harm: it waits in the queue for whoever is free first, and while it waits there is no third.
    """
    taken_until = timedelta(seconds=settings.JOB_REDELIVERY_SECONDS - settings.JOB_SWEEP_SECONDS)
    message = OrmQ.objects.filter(Q(lock__lte=Now()) | Q(lock__gt=Now() + taken_until), pk=OuterRef("message_id"))
    jobs: JobQuerySet[Any] = JobQuerySet(kind.model)
    return jobs.due().filter(~Exists(message)).order_by("created_at")


def holders(cluster: str) -> set[str]:
    """Who in `cluster` holds a lease, as `<cluster>/<process id>`."""
    return {
        owner
        for kind in kinds()
        for owner in _running(kind.model)
        .filter(lease_owner__startswith=f"{cluster}/")
        .values_list("lease_owner", flat=True)
    }


def _running(model: type[Job]) -> JobQuerySet[Any]:
    return JobQuerySet(model).filter(status=JobStatus.RUNNING)


def release(owners: Iterable[str], *, refund: bool) -> int:
    """Give back at once what processes held that are known to be dead, without waiting for their leases.

    `refund`: they were stopped on purpose, so the attempt does not count.
    """
    released, owners = 0, list(owners)
    if not owners:
        return 0
    for kind in kinds():
        with transaction.atomic():
            jobs = transitions.give_back(
                kind.model,
                "lease_owner = ANY(%(owners)s)",
                owners=owners,
                code="WORKER_STOPPED" if refund else "WORKER_LOST",
                detail=_CLUSTER_STOPPED if refund else _WORKER_LOST,
                refund=refund,
            )
            after_give_back(kind, jobs)
        released += len(jobs)
    return released


# --- Canaries -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pulse:
    answered: bool
    busy: bool  # as many live leases as workers: nobody is free to answer


def ask_canary(cluster: str, queue: str, workers: int) -> Pulse:
    """Has `cluster` answered, and its answer been acknowledged? If so (or if it was never asked), ask again."""
    with transaction.atomic():
        canary, _ = Canary.objects.select_for_update(no_key=True).get_or_create(
            cluster=cluster, defaults={"queue": queue, "workers": workers}
        )
        acknowledged = not OrmQ.objects.filter(pk=canary.message_id).exists()
        answered = acknowledged and (
            canary.asked_at is None or (canary.answered_at is not None and canary.answered_at >= canary.asked_at)
        )
        if answered:
            canary.message_id = messages.post_to(cluster, "kjxlkj.jobs.tasks.answer_canary", cluster)
            Canary.objects.filter(pk=cluster).update(message_id=canary.message_id, asked_at=Now())
    return Pulse(answered, busy=live_leases().get(cluster, 0) >= workers)


def answer_canary(cluster: str) -> None:
    Canary.objects.filter(pk=cluster).update(answered_at=Now())


def retire(cluster: str) -> None:
    """A cluster that was stopped on purpose: its jobs go back to the queue, its canary and its queue go."""
    release(holders(cluster), refund=True)
    OrmQ.objects.filter(key=cluster).delete()
    Canary.objects.filter(pk=cluster).delete()


def live_leases() -> dict[str, int]:
    """Number of live leases of each cluster."""
    counts: dict[str, int] = {}
    for kind in kinds():
        for owner, number in JobQuerySet(kind.model).live().values_list("lease_owner").annotate(Count("pk")):
            cluster = owner.rpartition("/")[0]
            counts[cluster] = counts.get(cluster, 0) + number
    return counts
