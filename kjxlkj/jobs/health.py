"""What is known of workers and queues from the outside: never the cluster's own word."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, Q
from django.db.models.functions import Coalesce, Now
from django_q.models import OrmQ

from kjxlkj.jobs import canaries
from kjxlkj.jobs.models import Canary, JobQuerySet, JobStatus
from kjxlkj.jobs.registry import kinds

# A cluster that was not even asked for so long has nobody any more who looks after it: it is not there.
_GONE_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Cluster:
    name: str
    queue: str
    workers: int
    live_leases: int
    canary_age: float | None
    """Seconds since its last answer; None if it has not given one yet."""
    silent_for: float
    """Seconds since its last sign of life: an answer, or, where nobody is free to answer, the renewal of a lease."""

    @property
    def is_well(self) -> bool:
        return self.silent_for <= settings.JOB_STALL_SECONDS


def clusters() -> list[Cluster]:
    """The clusters that somebody looks after, or that hold live leases."""
    leases = canaries.live_leases()
    rows = Canary.objects.filter(asked_at__isnull=False).annotate(now=Now()).order_by("queue", "cluster")
    return [
        _cluster(row, leases.get(row.cluster))
        for row in rows
        if row.now - row.asked_at < _GONE_AFTER or row.cluster in leases
    ]


def _cluster(canary: Any, leases: canaries.Leases | None) -> Cluster:
    alive_at = canary.well_at or canary.started_at
    if leases is not None and leases.number >= canary.workers:
        alive_at = max(alive_at, leases.renewed_at)
    return Cluster(
        canary.cluster,
        canary.queue,
        canary.workers,
        leases.number if leases else 0,
        (canary.now - canary.answered_at).total_seconds() if canary.answered_at else None,
        (canary.now - alive_at).total_seconds(),
    )


def unserved(there: Sequence[Cluster]) -> list[str]:
    """The queues that jobs may wait in for ever: none of these clusters serves them and is well."""
    well = {cluster.queue for cluster in there if cluster.is_well}
    return [queue for queue in settings.JOB_QUEUES if queue not in well]


def snapshot() -> dict[str, Any]:
    """Everything about workers and queues that readiness, `doctor` and the admin tell, in a few queries.

    `unserved`: the queues without a cluster that is well; `ready`: there is none. Ages are in seconds, None where
    there is nothing to measure.
    """
    there = clusters()
    counts = {"queued": 0, "running": 0, "live_leases": sum(cluster.live_leases for cluster in there)}
    oldest: list[float] = []
    for kind in kinds():
        jobs: JobQuerySet[Any] = JobQuerySet(kind.model)
        unfinished = jobs.unfinished().aggregate(
            queued=Count("pk", filter=Q(status=JobStatus.QUEUED)),
            running=Count("pk", filter=Q(status=JobStatus.RUNNING)),
        )
        counts["queued"] += unfinished["queued"]
        counts["running"] += unfinished["running"]
        waits = jobs.due().aggregate(
            age=ExpressionWrapper(Now() - Min(Coalesce(F("not_before"), F("created_at"))), output_field=DurationField())
        )
        if waits["age"] is not None:
            oldest.append(waits["age"].total_seconds())
    ages = [cluster.canary_age for cluster in there if cluster.canary_age is not None]
    silent = unserved(there)
    return {
        "ready": not silent,
        "unserved": silent,
        "canary_age": min(ages, default=None),
        "oldest_queued_age": max(oldest, default=None),
        **counts,
        "queue_depth": OrmQ.objects.filter(key__in=settings.JOB_QUEUES, lock__lte=Now()).count(),
        "clusters": [{**asdict(cluster), "is_well": cluster.is_well} for cluster in there],
    }
