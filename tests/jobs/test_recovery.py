from contextlib import suppress
from datetime import timedelta
from threading import Event, Thread, current_thread, main_thread
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, connections, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from kjxlkj.jobs import canaries, recovery, transitions
from kjxlkj.jobs.models import Canary
from tests.jobs.conftest import add_errand, history, run, wait_for
from tests.jobs.testapp.models import Errand

pytestmark = pytest.mark.django_db(transaction=True)


def claimed(errand: Errand, owner: str = "") -> Errand:
    with transaction.atomic():
        assert transitions.claim(Errand, errand.pk, uuid4())
    if owner:
        Errand.objects.filter(pk=errand.pk).update(lease_owner=owner)
    errand.refresh_from_db()
    return errand


def expire(errand: Errand) -> None:
    Errand.objects.filter(pk=errand.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def test_nothing_lost_nothing_done() -> None:
    add_errand()
    claimed(add_errand())
    add_errand(not_before=timezone.now() + timedelta(hours=1))
    run(add_errand())
    assert recovery.sweep() == recovery.Swept(0, 0)


def test_an_expired_lease_goes_back_to_the_queue_and_the_job_ends_well() -> None:
    errand = claimed(add_errand())
    expire(errand)
    OrmQ.objects.all().delete()
    assert recovery.sweep().given_back == 1
    errand.refresh_from_db()
    assert (errand.status, errand.error_code) == ("queued", "WORKER_LOST")
    assert OrmQ.objects.filter(pk=errand.message_id).exists()
    assert run(errand).status == "succeeded"
    assert history(errand) == [">queued", "running>queued", "queued>running", "running>succeeded"]


def test_a_job_that_always_loses_its_worker_fails_after_its_attempts() -> None:
    errand = add_errand()
    for attempt in (1, 2, 3):
        claimed(errand)
        assert errand.attempts == attempt
        expire(errand)
        recovery.sweep()
    errand.refresh_from_db()
    assert (errand.status, errand.error_code, errand.attempts) == ("failed", "WORKER_LOST", 3)
    assert errand.error_detail
    assert history(errand)[-1] == "running>failed"


def test_another_attempt_begins_without_the_progress_of_the_last() -> None:
    errand = add_errand()
    Errand.objects.filter(pk=errand.pk).update(progress_done=3, progress_total=10, progress_label="files")
    claimed(errand)
    assert (errand.progress_done, errand.progress_total, errand.progress_label) == (0, None, "")


def test_a_lost_message_is_posted_again_once() -> None:
    errand = add_errand()
    OrmQ.objects.all().delete()
    assert recovery.sweep().woken == 1
    assert recovery.sweep().woken == 0
    errand.refresh_from_db()
    assert OrmQ.objects.get().pk == errand.message_id


def test_a_backlog_is_not_taken_for_lost_messages() -> None:
    for _ in range(5):
        add_errand(created_at=timezone.now() - timedelta(hours=3))
    assert recovery.sweep().woken == 0


def test_a_job_whose_queue_is_not_served_any_more_goes_to_the_default_one(settings: Any) -> None:
    settings.JOB_QUEUES = {"default": 2, "llm": 8}
    errand = add_errand(queue="llm")
    assert recovery.sweep().woken == 0
    settings.JOB_QUEUES = {"default": 2}
    assert recovery.sweep().woken == 1
    errand.refresh_from_db()
    assert OrmQ.objects.get(pk=errand.message_id).key == "default"
    assert recovery.sweep().woken == 0


def test_what_was_killed_with_its_stalled_cluster_has_spent_no_attempt() -> None:
    errand = claimed(add_errand(), "host:default/11")
    recovery.give_back_from_stalled("host:default/11")
    errand.refresh_from_db()
    assert (errand.status, errand.error_code) == ("queued", "CLUSTER_STALLED")
    assert (errand.attempts, errand.interruptions) == (0, 1)


def test_a_message_taken_by_a_cluster_that_died_is_posted_again() -> None:
    add_errand()
    redelivery = timedelta(seconds=settings.JOB_REDELIVERY_SECONDS)
    OrmQ.objects.update(lock=Now() + redelivery)  # taken just now
    assert recovery.sweep().woken == 0
    OrmQ.objects.update(lock=Now() + redelivery - timedelta(seconds=settings.JOB_SWEEP_SECONDS + 1))
    assert recovery.sweep().woken == 1


def test_a_job_whose_time_has_come_without_a_message_is_woken() -> None:
    errand = add_errand(not_before=timezone.now() + timedelta(hours=1))
    OrmQ.objects.all().delete()
    assert recovery.sweep().woken == 0
    Errand.objects.filter(pk=errand.pk).update(not_before=timezone.now())
    assert recovery.sweep().woken == 1


def test_the_sweep_takes_as_many_statements_for_many_as_for_one() -> None:
    recovery.sweep()  # with it the chores that are done once in an hour only
    assert statements_to_sweep(20) == statements_to_sweep(1)


def statements_to_sweep(number: int) -> int:
    """How many it takes where `number` jobs are lost and as many have no message."""
    Errand.objects.all().delete()
    for _ in range(number):
        expire(claimed(add_errand()))
        add_errand()
    OrmQ.objects.all().delete()
    with CaptureQueriesContext(connection) as statements:
        swept = recovery.sweep()
    assert (swept.given_back, swept.woken) == (number, number)
    return len(statements)


def test_the_leases_of_dead_workers_are_released_and_no_others() -> None:
    dead, living = claimed(add_errand(), "host:default/11"), claimed(add_errand(), "host:default/12")
    other = claimed(add_errand(), "elsewhere:default/11")
    assert recovery.holders("host:default") == {"host:default/11", "host:default/12"}
    assert recovery.lose("host:default/11", "It was last seen using 12 MB of memory.") == 1
    assert [Errand.objects.get(pk=e.pk).status for e in (dead, living, other)] == ["queued", "running", "running"]
    dead.refresh_from_db()
    assert (dead.attempts, dead.error_code) == (1, "WORKER_LOST")
    assert "Worker host:default/11" in dead.error_detail
    assert dead.error_detail.endswith("It was last seen using 12 MB of memory.")


def test_a_worker_that_was_alive_until_its_jobs_time_was_over_was_stopped_for_that() -> None:
    early, late = claimed(add_errand(), "host:default/11"), claimed(add_errand(), "host:default/11")
    limit = timedelta(seconds=settings.JOB_TIMEOUT_SECONDS + 2)
    Errand.objects.filter(pk=late.pk).update(started_at=timezone.now() - limit)
    recovery.lose("host:default/11", "")
    codes = [Errand.objects.get(pk=errand.pk).error_code for errand in (early, late)]
    assert codes == ["WORKER_LOST", "JOB_TIMEOUT"]


def test_jobs_of_a_cluster_that_is_stopped_go_back_without_the_attempt_counting() -> None:
    errand = claimed(add_errand(max_attempts=1), "host:default/11")
    canaries.ask("host:default", "default", 2)
    recovery.retire("host:default")
    errand.refresh_from_db()
    assert (errand.status, errand.attempts) == ("queued", 0)
    assert not Canary.objects.exists()
    assert list(OrmQ.objects.values_list("key", flat=True).distinct()) == ["default"]
    assert run(errand).status == "succeeded"


def test_a_host_that_is_cut_off_in_the_middle_of_its_sweep_holds_up_the_others_for_a_lease_at_most(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.JOB_LEASE_SECONDS = 0.5
    errand = claimed(add_errand())
    expire(errand)
    lose, in_the_middle, healed = transitions.lose, Event(), Event()

    def be_cut_off(*arguments: Any, **options: Any) -> Any:
        if current_thread() is main_thread():
            return lose(*arguments, **options)
        in_the_middle.set()
        healed.wait(30)
        return []

    def other_host() -> None:
        with suppress(DatabaseError, InterfaceError):
            recovery.sweep()
        connections.close_all()

    monkeypatch.setattr(transitions, "lose", be_cut_off)
    other = Thread(target=other_host)
    other.start()
    try:
        assert in_the_middle.wait(10)
        assert recovery.sweep().given_back == 0, "one sweeps at a time"
        wait_for(lambda: recovery.sweep().given_back, 10)
    finally:
        healed.set()
        other.join()
