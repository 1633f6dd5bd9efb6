"""What people ask about workers and queues: what waits, who works at what, what ended in the last hour and how.

Each question is one query for each kind of job, however many jobs there are, and reads by an index: a million
finished jobs of other days cost nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.db.models import Aggregate, Count, DateTimeField, F, Func, Min, Q, Value, Window
from django.db.models.fields import DurationField
from django.db.models.functions import Coalesce, Now
from django_q.models import OrmQ

from kjxlkj.jobs import health
from kjxlkj.jobs.models import DEFAULT_QUEUE, Job, JobQuerySet, JobStatus
from kjxlkj.jobs.registry import kinds

BUCKET = timedelta(minutes=5)
HOUR = timedelta(hours=1)
# Rows of a list that a person may want to read; beyond that a number says more.
LISTED = 50


@dataclass(slots=True)
class Queue:
    name: str
    clusters: list[health.Cluster] = field(default_factory=list)
    depth: int = 0
    """Messages that are due and that no worker has taken."""
    queued: int = 0
    running: int = 0
    oldest_age: float | None = None
    """Seconds that the oldest due job has waited."""


@dataclass(frozen=True, slots=True)
class Some:
    """The first jobs of many, and how many there are."""

    jobs: list[Job]
    count: int


@dataclass(slots=True)
class KindHour:
    """How the jobs of one kind ended in the last hour."""

    name: str
    succeeded: int = 0
    failed: int = 0
    median: float | None = None
    p95: float | None = None


@dataclass(slots=True)
class Bucket:
    """Five minutes by the clock; the first and the last of an hour are cut by its ends."""

    start: datetime
    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Failures:
    """Of one code and kind in the last hour."""

    code: str
    model: type[Job]
    count: int

    @property
    def kind(self) -> str:
        return str(self.model._meta.verbose_name_plural)


@dataclass(frozen=True, slots=True)
class Hour:
    kinds: list[KindHour]
    buckets: list[Bucket]
    failures: list[Failures]

    @property
    def succeeded(self) -> int:
        return sum(kind.succeeded for kind in self.kinds)

    @property
    def failed(self) -> int:
        return sum(kind.failed for kind in self.kinds)


# --- Now ----------------------------------------------------------------------------------------------------


def queues(clusters: list[health.Cluster]) -> list[Queue]:
    """Those of the settings and those that some cluster serves, with what waits in each."""
    found = {name: Queue(name) for name in [*settings.JOB_QUEUES, *(cluster.queue for cluster in clusters)]}
    for cluster in clusters:
        found[cluster.queue].clusters.append(cluster)
    due = OrmQ.objects.filter(key__in=list(found), lock__lte=Now()).values_list("key")
    for name, number in due.annotate(number=Count("pk")):
        found[name].depth = number
    for row in _unfinished():
        # What names a queue that nobody serves is served by the default one.
        queue = found.get(row["queue"]) or found[DEFAULT_QUEUE]
        if row["status"] == JobStatus.QUEUED:
            queue.queued += row["number"]
        else:
            queue.running += row["number"]
        if row["age"] is not None:
            queue.oldest_age = max(queue.oldest_age or 0.0, row["age"].total_seconds())
    return list(found.values())


def _unfinished() -> Iterator[dict[str, Any]]:
    due = Q(not_before=None) | Q(not_before__lte=Now())
    since = Min(Coalesce(F("not_before"), F("created_at")), filter=due)
    for kind in kinds():
        # Apart, since each status has an index of its own.
        for status in (JobStatus.QUEUED, JobStatus.RUNNING):
            jobs: JobQuerySet[Any] = JobQuerySet(kind.model)
            rows = jobs.filter(status=status).values("queue", "status").order_by()
            age = Now() - since if status == JobStatus.QUEUED else Value(None)
            yield from rows.annotate(number=Count("pk"), age=Coalesce(age, Value(None), output_field=DurationField()))


def at_work() -> Some:
    """Jobs with a live lease, those that have been at it for longest first."""
    return _some("started_at", lambda jobs: jobs.live())


def retries() -> Some:
    """Jobs that an error has sent back, and whose time has not come yet, the next first."""
    return _some("not_before", lambda jobs: jobs.filter(Q(not_before__gt=Now()), ~Q(error_code=""), status="queued"))


def _some(order: str, choose: Callable[[JobQuerySet[Any]], JobQuerySet[Any]]) -> Some:
    jobs: list[Job] = []
    count = 0
    # What the kinds add to a job, such as a run's trace, can be long.
    columns = [each.name for each in Job._meta.fields]
    for kind in kinds():
        rows = choose(JobQuerySet(kind.model)).only(*columns).annotate(there=Window(Count("pk")))
        found = list(rows.order_by(order)[:LISTED])
        jobs += found
        count += found[0].there if found else 0
    return Some(sorted(jobs, key=attrgetter(order))[:LISTED], count)


# --- The last hour ------------------------------------------------------------------------------------------


class _DateBin(Func):
    """The start of the five minutes by the clock."""

    function = "date_bin"
    template = "%(function)s('5 minutes', %(expressions)s, '2000-01-01 00:00+00')"
    output_field = DateTimeField()


class _Percentile(Aggregate):
    template = "percentile_cont(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()


def last_hour(now: datetime) -> Hour:
    """`now` names the buckets; what counts as an hour ago is for the database to say."""
    first = now - HOUR - (now - HOUR - datetime(2000, 1, 1, tzinfo=now.tzinfo)) % BUCKET
    buckets = {first + place * BUCKET: Bucket(first + place * BUCKET) for place in range(HOUR // BUCKET + 1)}
    hours, failures = [], []
    for kind in kinds():
        jobs: JobQuerySet[Any] = JobQuerySet(kind.model)
        ended = jobs.filter(finished_at__gt=Now() - HOUR).order_by()
        median, p95 = _durations(ended)
        hour = KindHour(str(kind.model._meta.verbose_name_plural), median=median, p95=p95)
        codes: Counter[str] = Counter()
        rows = ended.values_list(_DateBin("finished_at"), "status", "error_code").annotate(Count("pk"))
        for start, status, code, number in rows:
            bucket = buckets.setdefault(start, Bucket(start))
            if status == JobStatus.SUCCEEDED:
                hour.succeeded += number
                bucket.succeeded += number
            else:
                hour.failed += number
                bucket.failed += number
                codes[code] += number
        hours.append(hour)
        failures += [Failures(code, kind.model, number) for code, number in codes.items()]
    failures.sort(key=lambda each: -each.count)
    return Hour(hours, sorted(buckets.values(), key=lambda bucket: bucket.start), failures)


def _durations(ended: JobQuerySet[Any]) -> tuple[float | None, float | None]:
    """Median and 95th percentile of the last attempts, in seconds; what was cancelled before it began has none."""
    took = F("finished_at") - F("started_at")
    found = ended.aggregate(median=_Percentile(took, fraction=0.5), p95=_Percentile(took, fraction=0.95))
    median, p95 = (None if found[name] is None else found[name].total_seconds() for name in ("median", "p95"))
    return median, p95
