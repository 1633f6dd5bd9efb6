"""What is known of workers and queues from the outside: never the cluster's own word."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, DateTimeField, DurationField, ExpressionWrapper, F, Max, Min, Q
from django.db.models.functions import Coalesce, Now
from django_q.models import OrmQ

from kjxlkj.jobs.models import Canary, JobQuerySet, JobStatus
from kjxlkj.jobs.registry import kinds

# A cluster that was not even asked for so long has nobody any more who looks after it: it is not there.
_GONE_SECONDS = 120.0


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


@dataclass(frozen=True, slots=True)
class _Leases:
    number: int = 0
    renewed_age: float = 0.0
    """Seconds since the latest renewal of any of them."""


def clusters() -> list[Cluster]:
    """The clusters that somebody looks after, or that hold live leases."""
    leases = _live_leases()
    rows = (
        Canary.objects.annotate(
            asked_age=_age("asked_at"), well_age=_age("well_at"), silent_age=_age(Coalesce("well_at", "started_at"))
        )
        .filter(asked_at__isnull=False)
        .order_by("queue", "cluster")
    )
    return [
        _cluster(row, leases.get(row.cluster, _Leases()))
        for row in rows
        if row.asked_age.total_seconds() < _GONE_SECONDS or row.cluster in leases
    ]


def _cluster(row: Any, leases: _Leases) -> Cluster:
    silent_for = row.silent_age.total_seconds()
    if leases.number >= row.workers:
        silent_for = min(silent_for, leases.renewed_age)
    return Cluster(row.cluster, row.queue, row.workers, leases.number, _seconds(row.well_age), silent_for)


def _live_leases() -> dict[str, _Leases]:
    """By cluster."""
    found: dict[str, _Leases] = {}
    lease = timedelta(seconds=settings.JOB_LEASE_SECONDS)
    for kind in kinds():
        held: Any = JobQuerySet(kind.model).live().values_list("lease_owner")
        renewed_age = _age(ExpressionWrapper(Max("lease_expires_at") - lease, output_field=DateTimeField()))
        for owner, number, age in held.annotate(number=Count("pk"), age=renewed_age):
            cluster = owner.rpartition("/")[0]
            known = found.get(cluster, _Leases(0, age.total_seconds()))
            found[cluster] = _Leases(known.number + number, min(known.renewed_age, age.total_seconds()))
    return found


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


def _age(moment: Any) -> Any:
    moment = F(moment) if isinstance(moment, str) else moment
    return ExpressionWrapper(Now() - moment, output_field=DurationField())


def _seconds(duration: Any) -> float | None:
    return None if duration is None else float(duration.total_seconds())
