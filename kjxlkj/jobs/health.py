"""What is known of workers and queues from the outside: never the cluster's own word."""

from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, Q
from django.db.models.functions import Coalesce, Now
from django_q.models import OrmQ

from kjxlkj.jobs import recovery
from kjxlkj.jobs.models import Canary, JobQuerySet, JobStatus
from kjxlkj.jobs.registry import kinds

# Long enough for a cluster to be started anew once; a stalled one is told within half a minute.
_SILENT_SECONDS = 30.0
# A cluster that was not even asked for so long has no supervisor any more: it is not there.
_GONE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Cluster:
    name: str
    queue: str
    workers: int
    live_leases: int
    canary_age: float | None
    """Seconds since its last answer; None if it has not given one yet."""

    @property
    def is_well(self) -> bool:
        answers = self.canary_age is not None and self.canary_age <= _SILENT_SECONDS
        # With each of its workers at a job whose lease is renewed, nobody is free to answer.
        return answers or self.live_leases >= self.workers


def clusters() -> list[Cluster]:
    leases = recovery.live_leases()
    rows = (
        Canary.objects.filter(asked_at__isnull=False)
        .annotate(asked_age=_age("asked_at"), answered_age=_age("answered_at"))
        .order_by("queue", "cluster")
    )
    return [
        Cluster(row.cluster, row.queue, row.workers, leases.get(row.cluster, 0), _seconds(row.answered_age))
        for row in rows
        if (_seconds(row.asked_age) or 0.0) < _GONE_SECONDS or leases.get(row.cluster)
    ]


def snapshot() -> dict[str, Any]:
    """Everything about workers and queues that readiness, `doctor` and the admin tell, in a few queries.

    `ready`: each queue has a cluster that is well. Ages are in seconds, None where there is nothing to measure.
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
    well = {cluster.queue for cluster in there if cluster.is_well}
    return {
        "ready": well.issuperset(settings.JOB_QUEUES),
        "canary_age": min(ages, default=None),
        "oldest_queued_age": max(oldest, default=None),
        **counts,
        "queue_depth": OrmQ.objects.filter(key__in=settings.JOB_QUEUES, lock__lte=Now()).count(),
        "clusters": [{**asdict(cluster), "is_well": cluster.is_well} for cluster in there],
    }


def _age(field: str) -> Any:
    return ExpressionWrapper(Now() - F(field), output_field=DurationField())


def _seconds(duration: Any) -> float | None:
    return None if duration is None else float(duration.total_seconds())
