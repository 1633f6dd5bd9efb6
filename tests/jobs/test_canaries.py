from datetime import timedelta

import pytest
from django.db.models import F
from django_q.models import OrmQ

from kjxlkj.jobs import canaries, health, recovery
from kjxlkj.jobs.models import Canary
from tests.jobs.conftest import add_errand
from tests.jobs.test_recovery import claimed

pytestmark = pytest.mark.django_db(transaction=True)


def ask() -> Canary:
    canaries.ask("c", "default", 2)
    return Canary.objects.get()


def acknowledge() -> None:
    OrmQ.objects.filter(key="c").delete()


def older(**times: float) -> None:
    """Put moments back by so many seconds."""
    Canary.objects.update(**{name: F(name) - timedelta(seconds=seconds) for name, seconds in times.items()})


def test_a_question_waits_for_its_answer() -> None:
    first = ask()
    assert OrmQ.objects.get(key="c").pk == first.message_id
    assert ask().message_id == first.message_id


def test_an_answer_counts_when_it_was_acknowledged_too() -> None:
    first = ask()
    canaries.answer("c")
    unacknowledged = ask()
    assert (unacknowledged.well_at, unacknowledged.message_id) == (None, first.message_id)
    acknowledge()
    whole = ask()
    assert whole.well_at == whole.answered_at
    assert OrmQ.objects.get(key="c").pk == whole.message_id != first.message_id


def test_an_acknowledgement_without_an_answer_proves_nothing() -> None:
    ask()
    acknowledge()
    assert ask().well_at is None


def test_a_question_that_got_lost_is_asked_anew_and_proves_nothing() -> None:
    first = ask()
    canaries.answer("c")
    acknowledge()
    well_at = ask().well_at
    older(asked_at=9, answered_at=10)
    again = ask()
    assert again.message_id != first.message_id
    assert again.well_at == well_at
    # One question is on its way, not two.
    assert [message.pk for message in OrmQ.objects.filter(key="c")] == [again.message_id]


def test_a_late_answer_to_a_former_question_proves_nothing_while_the_new_one_is_on_its_way() -> None:
    ask()
    older(asked_at=9)
    ask()
    canaries.answer("c")
    assert ask().well_at is None


def test_while_all_workers_are_busy_their_renewals_are_signs_of_life_and_are_kept() -> None:
    ask()
    older(started_at=100, asked_at=4)
    first = claimed(add_errand(), "c/1")
    assert ask().well_at is None  # one of two workers is free to answer
    claimed(add_errand(), "c/2")
    seen = ask().well_at
    assert seen is not None
    # In the moment between two jobs nobody is there to renew.
    recovery.lose("c/2", "")
    assert ask().well_at == seen
    assert health.clusters()[0].is_well
    assert first.lease_expires_at is not None


def test_clusters_that_nobody_asks_any_more_are_forgotten_with_their_queues() -> None:
    ask()
    canaries.ask("other", "default", 2)
    older(asked_at=3500)
    canaries.forget_the_gone()
    assert Canary.objects.count() == 2
    Canary.objects.filter(pk="c").update(asked_at=F("asked_at") - timedelta(seconds=200))
    canaries.forget_the_gone()
    assert list(Canary.objects.values_list("pk", flat=True)) == ["other"]
    assert list(OrmQ.objects.values_list("key", flat=True)) == ["other"]
