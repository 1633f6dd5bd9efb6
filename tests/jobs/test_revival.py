"""Jobs of a database that was restored."""

from dataclasses import replace
from uuid import uuid4

import pytest
from django_q.models import OrmQ

from kjxlkj.jobs import registry, services, transitions
from kjxlkj.jobs.models import Canary, Slot
from kjxlkj.jobs.revival import Revived, revive
from tests.jobs.conftest import add_errand, history, run
from tests.jobs.testapp.models import Errand

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def outside(monkeypatch):
    """Errands with an argument are felt outside of the database."""
    kind = registry.kind_of("testapp.errand")
    changed = replace(kind, acts_outside=lambda errand: errand.argument == "outside")
    monkeypatch.setitem(registry._kinds, "testapp.errand", changed)


def at_work(**fields):
    errand = add_errand(**fields)
    services._claim(registry.kind_of("testapp.errand"), errand.pk, uuid4())
    errand.refresh_from_db()
    assert errand.status == "running"
    return errand


def found(errand):
    errand.refresh_from_db()
    return errand.status, errand.error_code, errand.attempts


def test_what_was_at_work_is_queued_and_its_attempt_given_back():
    errand = at_work()
    assert revive() == Revived(queued=1, failed=0)
    assert found(errand) == ("queued", "RESTORED", 0)
    assert history(errand)[-1] == "running>queued"
    assert run(errand).status == "succeeded"


def test_what_was_queued_is_woken_by_a_message_of_now():
    errand = add_errand()
    former = OrmQ.objects.get()
    assert revive() == Revived(queued=1, failed=0)
    message = OrmQ.objects.get()
    errand.refresh_from_db()
    assert (errand.message_id, errand.status) == (message.pk, "queued")
    assert message.pk != former.pk
    assert history(errand) == [">queued"]


def test_what_is_felt_outside_fails_and_says_that_it_may_have_been_done(outside):
    waiting, working = add_errand(argument="outside"), at_work(argument="outside")
    assert revive() == Revived(queued=0, failed=2)
    assert found(waiting) == ("failed", "RESTORED", 0)
    assert found(working) == ("failed", "RESTORED", 0)
    assert "may have been done" in working.error_detail
    assert (history(waiting)[-1], history(working)[-1]) == ("queued>failed", "running>failed")
    assert not OrmQ.objects.exists()


def test_what_somebody_wanted_to_end_ends():
    errand = at_work()
    services.cancel(errand)
    assert revive() == Revived(queued=0, failed=1)
    assert found(errand)[:2] == ("failed", "CANCELLED")


def test_what_is_finished_stays_so_and_whoever_was_at_work_before_holds_nothing():
    done = run(add_errand())
    errand = at_work()
    Slot.objects.create(resource="model", lease_token=errand.lease_token)
    Canary.objects.create(cluster="former", workers=1)
    revive()
    assert found(done)[0] == "succeeded"
    assert not (Slot.objects.exists() or Canary.objects.exists())
    assert transitions.renew(Errand, errand.pk, errand.lease_token, transitions.Progress()) is None
