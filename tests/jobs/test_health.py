from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ

from kjxlkj.jobs import canaries, health
from kjxlkj.jobs.models import Canary
from tests.jobs.conftest import add_errand, run
from tests.jobs.test_recovery import claimed
from tests.jobs.testapp.models import Errand

pytestmark = pytest.mark.django_db(transaction=True)


def seen(seconds_ago: float, *, asked: float = 1.0) -> None:
    now = timezone.now()
    Canary.objects.filter(pk="c").update(
        asked_at=now - timedelta(seconds=asked), well_at=now - timedelta(seconds=seconds_ago)
    )


def renewed(seconds_ago: float) -> None:
    """The latest renewals of all leases."""
    left = timedelta(seconds=settings.JOB_LEASE_SECONDS - seconds_ago)
    Errand.objects.filter(status="running").update(lease_expires_at=timezone.now() + left)


@pytest.fixture
def cluster() -> None:
    canaries.ask("c", "default", 2)
    canaries.answer("c")
    OrmQ.objects.all().delete()
    canaries.ask("c", "default", 2)
    OrmQ.objects.all().delete()


def test_without_a_cluster_nothing_is_ready() -> None:
    snapshot = health.snapshot()
    assert (snapshot["ready"], snapshot["canary_age"], snapshot["clusters"]) == (False, None, [])


def test_a_cluster_that_answers_is_ready(cluster: None) -> None:
    snapshot = health.snapshot()
    assert snapshot["ready"]
    assert 0 <= snapshot["canary_age"] < 30


def test_a_cluster_that_has_not_answered_yet_is_not_ready() -> None:
    canaries.ask("c", "default", 2)
    Canary.objects.update(started_at=timezone.now() - timedelta(seconds=25))
    snapshot = health.snapshot()
    assert (snapshot["ready"], snapshot["canary_age"]) == (False, None)


def test_a_silent_cluster_is_not_ready_although_it_is_asked(cluster: None) -> None:
    seen(19)
    assert health.snapshot()["ready"]
    seen(21)
    assert not health.snapshot()["ready"]


def test_a_silent_cluster_whose_workers_all_hold_live_leases_is_ready(cluster: None) -> None:
    seen(600)
    for number in (1, 2):
        assert not health.snapshot()["ready"]
        claimed(add_errand(), f"c/{number}")
    assert health.snapshot()["ready"]
    assert health.snapshot()["live_leases"] == 2


def test_leases_that_are_live_and_not_renewed_explain_no_silence(cluster: None) -> None:
    """The whole cluster may have been stopped while its workers were busy."""
    seen(600)
    for number in (1, 2):
        claimed(add_errand(), f"c/{number}")
    renewed(19)
    assert health.snapshot()["ready"]
    renewed(21)
    snapshot = health.snapshot()
    assert (snapshot["ready"], snapshot["live_leases"]) == (False, 2)


def test_a_cluster_that_nobody_asks_any_more_is_not_there(cluster: None) -> None:
    seen(300, asked=300)
    assert health.snapshot()["clusters"] == []


def test_each_queue_needs_its_cluster(cluster: None, settings: Any) -> None:
    settings.JOB_QUEUES = {"default": 2, "long": 1}
    assert not health.snapshot()["ready"]


def test_what_waits_is_counted_and_its_age_told(cluster: None) -> None:
    run(add_errand())
    OrmQ.objects.all().delete()
    with transaction.atomic():
        old = add_errand()
    add_errand(not_before=timezone.now() + timedelta(hours=1))
    Errand.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(seconds=100))
    snapshot = health.snapshot()
    assert 100 <= snapshot["oldest_queued_age"] < 130
    assert (snapshot["queued"], snapshot["running"], snapshot["queue_depth"]) == (2, 0, 1)
