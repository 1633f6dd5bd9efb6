import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django_q.exceptions import TimeoutException
from django_q.models import OrmQ

from kjxlkj.errors import Conflict
from kjxlkj.jobs import services, transitions
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.models import JobStatus
from kjxlkj.jobs.outcomes import Cancelled, LeaseLost
from kjxlkj.jobs.recovery import sweep
from tests.jobs.conftest import add_errand, history, run, wait_for
from tests.jobs.testapp import work
from tests.jobs.testapp.models import Effect, Errand

pytestmark = pytest.mark.django_db(transaction=True)


def in_threads(number: int, act: Any) -> None:
    """The same act in `number` threads, begun at one moment."""
    barrier = threading.Barrier(number)

    def body() -> None:
        barrier.wait()
        try:
            act()
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        for future in [pool.submit(body) for _ in range(number)]:
            future.result()


# --- Enqueue ------------------------------------------------------------------------------------------------


def test_row_and_message_commit_together() -> None:
    errand = add_errand()
    errand.refresh_from_db()
    message = OrmQ.objects.get()
    assert (errand.status, errand.message_id) == ("queued", message.pk)
    assert message.func() == "kjxlkj.jobs.tasks.execute"
    assert message.args() == ("testapp.errand", str(errand.pk))
    assert history(errand) == [">queued"]


def test_a_rollback_leaves_neither_row_nor_message() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        errand = Errand.objects.create(script="succeed")
        services.enqueue(errand)
        raise ZeroDivisionError
    assert not Errand.objects.exists()
    assert not OrmQ.objects.exists()


def test_enqueue_outside_of_a_transaction_is_refused() -> None:
    errand = Errand.objects.create(script="succeed")
    with pytest.raises(RuntimeError, match="atomic"):
        services.enqueue(errand)


@pytest.mark.parametrize("number", [1, 50])
def test_enqueueing_many_takes_as_many_statements_as_one(number: int, django_assert_num_queries: Any) -> None:
    errands = [Errand(script="succeed") for _ in range(number)]
    with transaction.atomic():
        Errand.objects.bulk_create(errands)
        # And one for what the app of these errands writes of the announcement.
        with django_assert_num_queries(2):
            services.enqueue_many(errands)
    assert OrmQ.objects.count() == number
    assert set(Errand.objects.values_list("message_id", flat=True)) == set(OrmQ.objects.values_list("pk", flat=True))


def test_the_message_of_a_job_for_later_is_delivered_when_it_is_due() -> None:
    later = timezone.now() + timedelta(hours=1)
    add_errand(not_before=later)
    assert OrmQ.objects.get().lock == later


def test_a_queue_that_nobody_serves_is_served_by_the_default_one(settings: Any) -> None:
    settings.JOB_QUEUES = {"default": 2, "long": 1}
    add_errand(queue="long")
    add_errand(queue="llm")
    assert sorted(OrmQ.objects.values_list("key", flat=True)) == ["default", "long"]


# --- Execute ------------------------------------------------------------------------------------------------


def test_success_commits_effects_and_finish_together() -> None:
    errand = run(add_errand())
    assert (errand.status, errand.attempts, errand.error_code) == ("succeeded", 1, "")
    assert errand.finished_at and errand.started_at and errand.finished_at >= errand.started_at
    assert errand.lease_token is None
    assert history(errand) == [">queued", "queued>running", "running>succeeded"]
    assert errand.effects.count() == 1


def test_eight_deliveries_at_once_are_one_execution() -> None:
    errand = add_errand("last", 0.3)
    in_threads(8, lambda: services.execute("testapp.errand", errand.pk))
    errand.refresh_from_db()
    assert (errand.status, errand.attempts) == ("succeeded", 1)
    assert errand.effects.count() == 1
    assert history(errand) == [">queued", "queued>running", "running>succeeded"]


def test_a_delivery_after_the_end_does_nothing() -> None:
    errand = run(add_errand())
    finished_at = errand.finished_at
    assert run(errand).finished_at == finished_at
    assert errand.effects.count() == 1


def test_a_delivery_of_no_row_makes_no_noise(caplog: Any) -> None:
    with caplog.at_level(logging.INFO):
        services.execute("testapp.errand", uuid4())
    assert caplog.records == []


def test_a_delivery_before_its_time_does_nothing() -> None:
    errand = run(add_errand(not_before=timezone.now() + timedelta(hours=1)))
    assert (errand.status, errand.attempts) == ("queued", 0)


def test_an_error_of_the_domain_fails_the_job_with_its_code() -> None:
    errand = run(add_errand("refuse"))
    assert (errand.status, errand.error_code) == ("failed", "NOT_POSSIBLE")
    assert errand.error_detail == "This errand cannot be run."
    assert errand.effects.count() == 0


def test_an_error_among_the_effects_rolls_all_of_them_back_and_fails_the_job() -> None:
    errand = run(add_errand("break_in_effects"))
    assert (errand.status, errand.error_code) == ("failed", "NO_EFFECT")
    assert errand.effects.count() == 0


def test_an_unexpected_error_fails_the_job_and_tells_where(caplog: Any) -> None:
    errand = run(add_errand("crash"))
    assert (errand.status, errand.error_code) == ("failed", "INTERNAL_ERROR")
    assert "ZeroDivisionError: a fault of our own" in errand.error_detail
    assert "in _crash" in errand.error_detail
    assert "unexpected error" in caplog.text


def test_each_transition_is_one_line_of_log(caplog: Any) -> None:
    with caplog.at_level(logging.INFO, logger="kjxlkj.jobs"):
        errand = run(add_errand(request_id="req-1"))
    lines = [record for record in caplog.records if getattr(record, "job_id", "") == str(errand.pk)]
    assert [line.getMessage().partition(": ")[2] for line in lines] == [
        "new -> queued",
        "queued -> running",
        "running -> succeeded",
    ]
    assert {line.request_id for line in lines} == {"req-1"}
    assert lines[-1].duration > 0


# --- Retry, timeout, postponement ---------------------------------------------------------------------------


def seconds_to_wait(errand: Errand) -> float:
    assert errand.not_before is not None
    return (errand.not_before - timezone.now()).total_seconds()


def due_now(errand: Errand) -> None:
    Errand.objects.filter(pk=errand.pk).update(not_before=None)


def test_a_retryable_fault_sends_the_job_back_with_a_delay() -> None:
    errand = run(add_errand("retry"))
    assert (errand.status, errand.error_code, errand.attempts) == ("queued", "rate_limited", 1)
    wait = seconds_to_wait(errand)
    assert 0 < wait <= services.BACKOFF_FIRST_SECONDS
    # The wake-up call for the next attempt is in the queue already, and not to be delivered before.
    assert OrmQ.objects.get(pk=errand.message_id).lock == errand.not_before


def test_retry_after_is_obeyed() -> None:
    errand = run(add_errand("retry", 300))
    assert 290 < seconds_to_wait(errand) <= 300


def test_retries_are_bounded_and_the_last_fault_is_kept() -> None:
    errand = add_errand("retry")
    for _ in range(3):
        due_now(errand)
        run(errand)
    assert (errand.status, errand.error_code, errand.attempts) == ("failed", "rate_limited", 3)
    assert run(errand).attempts == 3


def test_a_retry_that_succeeds_leaves_no_error() -> None:
    errand = run(add_errand("retry_once"))
    due_now(errand)
    assert (run(errand).status, errand.error_code, errand.attempts) == ("succeeded", "", 2)
    assert history(errand)[1:] == ["queued>running", "running>queued", "queued>running", "running>succeeded"]


def test_backoff_grows_and_is_bounded() -> None:
    failed = [Errand(attempts=1), Errand(attempts=2), Errand(attempts=1, interruptions=2), Errand(attempts=30)]
    longest = [max(services.backoff(errand) for _ in range(200)) for errand in failed]
    assert longest == sorted(longest)
    assert longest[-1] <= services.BACKOFF_MOST_SECONDS
    assert min(services.backoff(failed[0]) for _ in range(50)) >= services.BACKOFF_FIRST_SECONDS / 2


def test_a_postponed_job_has_spent_no_attempt() -> None:
    errand = run(add_errand("postpone", 30))
    assert (errand.status, errand.attempts) == ("queued", 0)
    assert 25 < seconds_to_wait(errand) <= 30


def test_coming_and_going_of_a_postponed_job_is_no_news_and_its_end_is(monkeypatch: Any) -> None:
    errand = run(add_errand("postpone"))
    for _ in range(3):
        due_now(errand)
        run(errand)
    assert history(errand) == [">queued", "queued>running"]
    monkeypatch.setitem(work.SCRIPTS, "postpone", work.SCRIPTS["succeed"])
    due_now(errand)
    assert (run(errand).status, errand.error_code) == ("succeeded", "")
    assert history(errand) == [">queued", "queued>running", "running>succeeded"]


def test_a_claim_whose_answer_was_lost_is_still_ours() -> None:
    errand = add_errand()
    token = uuid4()
    with transaction.atomic():
        assert transitions.claim(Errand, errand.pk, token)
    lease = services._claim(services.kind_of("testapp.errand"), errand.pk, token)
    assert lease is not None
    assert (lease.job.pk, lease.token) == (errand.pk, token)
    assert services._claim(services.kind_of("testapp.errand"), errand.pk, uuid4()) is None


def test_the_queues_timeout_is_recorded_and_passed_on(monkeypatch: Any) -> None:
    def hang(errand: Errand, lease: Lease) -> None:
        raise TimeoutException("Task exceeded maximum timeout value (3 seconds)")

    monkeypatch.setitem(work.SCRIPTS, "hang", hang)
    errand = add_errand("hang", max_attempts=1)
    with pytest.raises(TimeoutException):
        run(errand)
    errand.refresh_from_db()
    assert (errand.status, errand.error_code) == ("failed", "JOB_TIMEOUT")


def test_a_lost_connection_during_the_work_is_no_failure(monkeypatch: Any) -> None:
    def cut_off(errand: Errand, lease: Lease) -> None:
        if errand.attempts == 1:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setitem(work.SCRIPTS, "cut_off", cut_off)
    errand = run(add_errand("cut_off"))
    assert (errand.status, errand.error_code) == ("queued", "DATABASE_UNAVAILABLE")
    assert (errand.attempts, errand.interruptions) == (0, 1)
    due_now(errand)
    monkeypatch.setitem(work.SCRIPTS, "cut_off", work.SCRIPTS["succeed"])
    assert run(errand).status == "succeeded"
    assert errand.effects.count() == 1


def test_a_job_that_brings_the_database_down_each_time_ends_too(monkeypatch: Any) -> None:
    def cut_off(errand: Errand, lease: Lease) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setitem(work.SCRIPTS, "cut_off", cut_off)
    errand = run(add_errand("cut_off"))
    Errand.objects.filter(pk=errand.pk).update(interruptions=20)
    for _ in range(3):
        due_now(errand)
        run(errand)
    assert (errand.status, errand.error_code, errand.attempts) == ("failed", "DATABASE_UNAVAILABLE", 3)


def test_an_outcome_waits_for_a_database_that_is_away_for_a_moment(monkeypatch: Any) -> None:
    recorded = transitions.fail
    away = iter([OperationalError("the database is away"), OperationalError("and still")])

    def fail(*arguments: Any) -> Any:
        for error in away:
            raise error
        return recorded(*arguments)

    monkeypatch.setattr(transitions, "fail", fail)
    errand = run(add_errand("refuse"))
    assert (errand.status, errand.error_code) == ("failed", "NOT_POSSIBLE")
    assert history(errand)[-1] == "running>failed"


def test_what_cannot_be_imported_is_tried_again_and_then_fails_with_its_name(monkeypatch: Any) -> None:
    def miss(errand: Errand, lease: Lease) -> None:
        import kjxlkj.a_module_that_is_not_there  # noqa: F401

    monkeypatch.setitem(work.SCRIPTS, "miss", miss)
    errand = add_errand("miss")
    for _ in range(3):
        due_now(errand)
        run(errand)
    assert (errand.status, errand.error_code, errand.attempts) == ("failed", "JOB_IMPORT_FAILED", 3)
    assert "a_module_that_is_not_there" in errand.error_detail


def test_too_little_memory_is_told_as_such_and_what_was_taken_is_let_go(monkeypatch: Any) -> None:
    class Large:
        """Stands for what filled the memory."""

    kept: list[weakref.ref[Large]] = []

    def fill(errand: Errand, lease: Lease) -> None:
        large = Large()
        kept.append(weakref.ref(large))
        raise MemoryError

    monkeypatch.setitem(work.SCRIPTS, "fill", fill)
    recorded = transitions.give_back
    monkeypatch.setattr(transitions, "give_back", lambda *a, **k: (kept.append(kept[0]()), recorded(*a, **k))[1])
    errand = run(add_errand("fill"))
    assert (errand.status, errand.error_code, errand.attempts) == ("queued", "JOB_OUT_OF_MEMORY", 1)
    assert f"{django_settings.JOB_MEMORY_MB:,} MB" in errand.error_detail
    # It was free again before the outcome was written, which needs memory too.
    assert kept[1] is None


# --- Lease --------------------------------------------------------------------------------------------------


def take_over(errand: Errand) -> None:
    """As another worker would, after this one's lease has run out."""
    Errand.objects.filter(pk=errand.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    with transaction.atomic():
        assert transitions.claim(Errand, errand.pk, uuid4()) is not None


def test_a_lost_lease_leaves_no_effect(monkeypatch: Any) -> None:
    monkeypatch.setitem(work.SCRIPTS, "slow", lambda errand, lease: take_over(errand))
    errand = run(add_errand("slow"))
    # The other worker's claim stands; ours has changed nothing.
    assert (errand.status, errand.attempts) == ("running", 2)
    assert not Effect.objects.exists()
    assert history(errand) == [">queued", "queued>running"]


def test_a_lost_lease_cannot_fail_the_job_either(monkeypatch: Any) -> None:
    def lose_and_crash(errand: Errand, lease: Lease) -> None:
        take_over(errand)
        raise ZeroDivisionError

    monkeypatch.setitem(work.SCRIPTS, "slow", lose_and_crash)
    assert run(add_errand("slow")).status == "running"


def test_the_heartbeat_keeps_the_lease_of_long_work(short_lease: float) -> None:
    errand = run(add_errand("last", 3 * short_lease))
    assert (errand.status, errand.attempts) == ("succeeded", 1)


def test_a_lease_that_cannot_be_renewed_ends_the_work(short_lease: float, monkeypatch: Any) -> None:
    def away(*arguments: object) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(transitions, "renew", away)
    errand = run(add_errand("last", 3 * short_lease))
    # It stopped by itself, and could give the job back when the database was there again.
    assert (errand.status, errand.error_code, errand.effects.count()) == ("queued", "LEASE_LOST", 0)
    assert (errand.attempts, errand.interruptions) == (0, 1)


def test_the_heartbeat_sees_that_the_lease_is_lost(short_lease: float, monkeypatch: Any) -> None:
    stopped = []

    def lose(errand: Errand, lease: Lease) -> None:
        # Given to another for long: only the token can tell.
        Errand.objects.filter(pk=errand.pk).update(
            lease_token=uuid4(), lease_expires_at=timezone.now() + timedelta(hours=1)
        )
        with pytest.raises(LeaseLost):
            work._last(10, lease)
        stopped.append(True)
        lease.check()

    monkeypatch.setitem(work.SCRIPTS, "lose", lose)
    errand = run(add_errand("lose"))
    assert stopped == [True]
    assert (errand.status, errand.effects.count()) == ("running", 0)


def test_work_in_steps_is_guarded_step_by_step(monkeypatch: Any) -> None:
    def steps(errand: Errand, lease: Lease) -> None:
        for step in range(3):
            with transaction.atomic():
                lease.guard()
                Effect.objects.create(errand=errand)
            if step == 1:
                take_over(errand)

    monkeypatch.setitem(work.SCRIPTS, "steps", steps)
    errand = run(add_errand("steps"))
    assert (errand.status, errand.effects.count()) == ("running", 2)


def test_a_guard_outside_of_a_transaction_is_refused(monkeypatch: Any) -> None:
    monkeypatch.setitem(work.SCRIPTS, "bare", lambda errand, lease: lease.guard())
    errand = run(add_errand("bare"))
    assert "call it inside of atomic()" in errand.error_detail


def test_progress_is_shown_while_the_job_runs_and_kept_at_its_end(short_lease: float, monkeypatch: Any) -> None:
    def report(errand: Errand, lease: Lease) -> None:
        lease.progress(3, 10, "reading")
        wait_for(lambda: Errand.objects.get(pk=errand.pk).progress_done == 3)
        lease.progress(10, 10, "read")

    monkeypatch.setitem(work.SCRIPTS, "report", report)
    errand = run(add_errand("report"))
    assert (errand.status, errand.error_detail) == ("succeeded", "")
    assert (errand.progress_done, errand.progress_total, errand.progress_label) == (10, 10, "read")


# --- Cancel -------------------------------------------------------------------------------------------------


def test_a_queued_job_is_cancelled_at_once() -> None:
    errand = add_errand()
    services.cancel(errand)
    assert run(errand).status == "failed"
    assert (errand.error_code, errand.attempts) == ("CANCELLED", 0)
    assert history(errand) == [">queued", "queued>failed"]


def test_a_running_job_stops_when_it_next_looks(short_lease: float, monkeypatch: Any) -> None:
    def be_cancelled(errand: Errand, lease: Lease) -> None:
        services.cancel(errand, detail="cancelled by Ada")
        with pytest.raises(Cancelled):
            work._last(10, lease)
        lease.check()

    monkeypatch.setitem(work.SCRIPTS, "be_cancelled", be_cancelled)
    errand = run(add_errand("be_cancelled"))
    assert (errand.status, errand.error_code, errand.effects.count()) == ("failed", "CANCELLED", 0)
    assert errand.error_detail == "cancelled by Ada"


def test_a_job_that_is_done_before_its_worker_looks_has_succeeded(monkeypatch: Any) -> None:
    monkeypatch.setitem(work.SCRIPTS, "quick", lambda errand, lease: services.cancel(errand, detail="by Ada"))
    errand = run(add_errand("quick"))
    assert (errand.status, errand.error_code, errand.error_detail) == ("succeeded", "", "")


def test_a_finished_job_cannot_be_cancelled() -> None:
    errand = run(add_errand())
    with pytest.raises(Conflict) as raised:
        services.cancel(errand)
    assert raised.value.code == "JOB_FINISHED"


def test_a_cancelled_job_whose_worker_is_lost_ends_cancelled(short_lease: float) -> None:
    errand = add_errand()
    with transaction.atomic():
        transitions.claim(Errand, errand.pk, uuid4())
    services.cancel(errand, detail="cancelled by Ada")
    wait_for(lambda: Errand.objects.expired().exists())
    sweep()
    errand.refresh_from_db()
    assert (errand.status, errand.error_code) == (JobStatus.FAILED, "CANCELLED")
    assert errand.error_detail == "cancelled by Ada"


# --- Bounds -------------------------------------------------------------------------------------------------


def idle_bound() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        return str(cursor.fetchone()[0])


def test_whoever_holds_the_row_of_a_job_is_cut_off_with_its_lease(short_lease: float, monkeypatch: Any) -> None:
    """Or a host that loses its network in the middle of a transaction would keep the job for hours."""
    bounds = {"outside": idle_bound()}

    def note(errand: Errand, lease: Lease) -> None:
        with transaction.atomic():
            lease.guard()
            bounds["guarded"] = idle_bound()
        bounds["afterwards"] = idle_bound()

    monkeypatch.setitem(work.SCRIPTS, "note", note)
    monkeypatch.setattr(work, "_effect", lambda *_: bounds.update(effects=idle_bound()))
    assert run(add_errand("note")).status == "succeeded"
    assert bounds == {"outside": "0", "guarded": "800ms", "afterwards": "0", "effects": "800ms"}
