import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from kjxlkj.jobs import canaries, health, overview, transitions
from kjxlkj.jobs.transitions import Progress
from tests.jobs.conftest import add_errand, run
from tests.jobs.test_recovery import claimed
from tests.jobs.testapp.models import Errand

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 4_000


def queues() -> dict[str, overview.Queue]:
    return {queue.name: queue for queue in overview.queues(health.clusters())}


def errands_of(hour: overview.Hour) -> overview.KindHour:
    return next(kind for kind in hour.kinds if kind.name == "errands")


def ended(errand: Errand, minutes_ago: float, seconds: float = 2.0) -> None:
    finished = timezone.now() - timedelta(minutes=minutes_ago)
    Errand.objects.filter(pk=errand.pk).update(finished_at=finished, started_at=finished - timedelta(seconds=seconds))


def ended_long_ago(number: int) -> None:
    """Failed, since that is one step from queued; enough that a planner would not read them all."""
    Errand.objects.bulk_create(Errand(script="succeed") for _ in range(number))
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE testapp_errand SET status = 'failed', error_code = 'OLD', started_at = clock_timestamp(),
                   finished_at = clock_timestamp() - interval '2 hours' - random() * interval '300 days'"""
        )
        cursor.execute("VACUUM ANALYZE testapp_errand")


def test_each_queue_tells_what_waits_in_it(settings: Any) -> None:
    settings.JOB_QUEUES = {"default": 2, "long": 1}
    old = add_errand()
    add_errand()
    add_errand(not_before=timezone.now() + timedelta(hours=1))
    claimed(add_errand(queue="long"))
    # Nobody serves it by name: the default workers do.
    add_errand(queue="elsewhere")
    Errand.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(seconds=100))
    found = queues()
    default, long = found["default"], found["long"]
    assert (default.depth, default.queued, default.running) == (3, 4, 0)
    assert (long.queued, long.running, long.oldest_age) == (0, 1, None)
    assert default.oldest_age is not None
    assert 100 <= default.oldest_age < 130


def test_a_queue_names_the_clusters_that_serve_it() -> None:
    canaries.ask("h:1:a:default", "default", 2)
    canaries.ask("h:1:a:llm", "llm", 8)
    found = queues()
    assert [cluster.name for cluster in found["default"].clusters] == ["h:1:a:default"]
    assert [cluster.workers for cluster in found["llm"].clusters] == [8]


def test_who_is_at_work_is_told_by_live_leases_alone() -> None:
    first, second, silent = (claimed(add_errand(), f"c/{number}") for number in (1, 2, 3))
    Errand.objects.filter(pk=silent.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    add_errand()
    transitions.renew(Errand, second.pk, second.lease_token, Progress(1, 2, "steps"))
    some = overview.at_work()
    assert ([job.pk for job in some.jobs], some.count) == ([first.pk, second.pk], 2)
    assert (some.jobs[1].progress_done, some.jobs[1].lease_owner) == (1, "c/2")


def test_what_waits_to_be_tried_again_is_told_with_its_error() -> None:
    later, sooner = (run(add_errand("retry", delay)) for delay in (300, 100))
    add_errand(not_before=timezone.now() + timedelta(hours=1))
    some = overview.retries()
    assert [job.pk for job in some.jobs] == [sooner.pk, later.pk]
    assert some.jobs[0].error_code == "rate_limited"


def test_long_lists_are_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "LISTED", 3)
    for number in range(5):
        claimed(add_errand(), f"c/{number}")
    some = overview.at_work()
    assert (len(some.jobs), some.count) == (3, 5)


def test_the_last_hour_counts_ends_by_kind_outcome_and_code() -> None:
    for script in ("succeed", "succeed", "refuse", "crash", "crash"):
        run(add_errand(script))
    gone = run(add_errand())
    ended(gone, 61)
    hour = overview.last_hour(timezone.now())
    kind = errands_of(hour)
    assert (kind.succeeded, kind.failed) == (2, 3)
    assert (hour.succeeded, hour.failed) == (2, 3)
    assert [(each.code, each.count) for each in hour.failures] == [("INTERNAL_ERROR", 2), ("NOT_POSSIBLE", 1)]
    assert sum(bucket.succeeded + bucket.failed for bucket in hour.buckets) == 5


def test_buckets_are_five_minutes_by_the_clock_and_cover_the_hour() -> None:
    for minutes in (0, 6, 59):
        ended(run(add_errand()), minutes)
    now = timezone.now()
    buckets = overview.last_hour(now).buckets
    starts = [bucket.start for bucket in buckets]
    assert len(starts) == 13
    assert all(start.minute % 5 == 0 and start.second == 0 for start in starts)
    assert starts[0] <= now - overview.HOUR < starts[1]
    assert starts[-1] <= now < starts[-1] + overview.BUCKET
    assert sum(bucket.succeeded for bucket in buckets) == 3
    assert max(bucket.succeeded for bucket in buckets) == 1


def test_durations_are_of_the_last_attempts() -> None:
    for seconds in range(1, 101):
        ended(run(add_errand()), 1, seconds)
    kind = errands_of(overview.last_hour(timezone.now()))
    assert kind.median == pytest.approx(50.5, abs=0.1)
    assert kind.p95 == pytest.approx(95.05, abs=0.1)


def test_without_jobs_there_are_no_durations() -> None:
    hour = overview.last_hour(timezone.now())
    assert {(kind.median, kind.p95) for kind in hour.kinds} == {(None, None)}


def test_every_question_is_answered_by_indexes_whatever_ended_long_ago() -> None:
    ended_long_ago(MANY)
    run(add_errand())
    claimed(add_errand())
    add_errand()
    with CaptureQueriesContext(connection) as asked:
        overview.queues([])
        overview.at_work()
        overview.retries()
        overview.last_hour(timezone.now())
    about = [query["sql"] for query in asked.captured_queries if "testapp_errand" in query["sql"]]
    assert len(about) == 6
    plans = []
    with connection.cursor() as cursor:
        for sql in about:
            cursor.execute("EXPLAIN " + sql.replace("%", "%%"))
            plans.append("\n".join(line for (line,) in cursor.fetchall()))
    for plan in plans:
        assert "Seq Scan on testapp_errand" not in plan, plan
    used = [re.findall(r"testapp_errand_(?:finished|leases|queued)", plan) for plan in plans]
    assert [names[0].rpartition("_")[2] for names in used] == [
        "queued", "leases", "leases", "queued", "finished", "finished",
    ]  # fmt: skip
