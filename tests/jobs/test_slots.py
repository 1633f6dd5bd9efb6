from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from kjxlkj.jobs import recovery, transitions
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.models import Slot
from kjxlkj.jobs.outcomes import LeaseLost, Postponed
from kjxlkj.jobs.slots import slot
from tests.jobs.conftest import add_errand, run
from tests.jobs.test_recovery import expire
from tests.jobs.test_services import in_threads
from tests.jobs.testapp import work
from tests.jobs.testapp.models import Errand

pytestmark = pytest.mark.django_db(transaction=True)


def lease_of(errand: Errand, owner: str = "c/1") -> Lease:
    token = uuid4()
    with transaction.atomic():
        claimed = transitions.claim(Errand, errand.pk, token)
    assert claimed
    Errand.objects.filter(pk=errand.pk).update(lease_owner=owner)
    return Lease(claimed[0], token, claimed_at=float("inf"))


def taken() -> int:
    return Slot.objects.count()


def test_a_slot_is_held_while_it_is_used_and_no_longer() -> None:
    lease = lease_of(add_errand())
    with slot(lease, "model", 1):
        assert taken() == 1
    assert taken() == 0


def test_who_finds_no_slot_is_postponed() -> None:
    first, second = lease_of(add_errand()), lease_of(add_errand())
    with slot(first, "model", 1), pytest.raises(Postponed) as raised, slot(second, "model", 1):
        pass
    assert 4 <= raised.value.delay <= 12
    assert "All 1 slots of model are taken" in raised.value.detail


def test_slots_of_other_things_are_other_slots() -> None:
    lease = lease_of(add_errand())
    with slot(lease, "model", 1), slot(lease, "other", 1):
        assert taken() == 2


def test_one_job_may_hold_several_and_no_more_than_all() -> None:
    lease = lease_of(add_errand())
    with slot(lease, "model", 2), slot(lease, "model", 2), pytest.raises(Postponed), slot(lease, "model", 2):
        pass


@pytest.mark.parametrize("end", ["expired", "lost", "retired"])
def test_the_end_of_a_lease_frees_its_slots(end: str) -> None:
    errand = add_errand()
    lease = lease_of(errand, "c/1")
    ends: dict[str, Callable[[], Any]] = {
        "expired": lambda: expire(errand),
        "lost": lambda: recovery.lose("c/1", ""),
        "retired": lambda: recovery.retire("c"),
    }
    holding = slot(lease, "model", 1)
    holding.__enter__()
    ends[end]()
    with slot(lease_of(add_errand()), "model", 1):
        assert taken() == 1


def test_a_lost_lease_takes_no_slot() -> None:
    errand = add_errand()
    lease = lease_of(errand)
    recovery.lose("c/1", "")
    with pytest.raises(LeaseLost), slot(lease, "model", 1):
        pass
    assert taken() == 0


def test_never_more_than_the_cap_at_once_and_those_left_out_come_back(monkeypatch: Any) -> None:
    highest: list[int] = []

    def use(errand: Errand, lease: Lease) -> None:
        with slot(lease, "model", 2):
            highest.append(taken())
            work._last(0.1, lease)

    monkeypatch.setitem(work.SCRIPTS, "use", use)
    errands = [add_errand("use") for _ in range(8)]
    waiting = iter(list(errands))
    in_threads(8, lambda: run(next(waiting)))
    for errand in errands:
        errand.refresh_from_db()
    assert max(highest) <= 2
    ended = [errand for errand in errands if errand.status == "succeeded"]
    postponed = [errand for errand in errands if errand.status == "queued"]
    assert len(ended) >= 2
    assert len(ended) + len(postponed) == 8
    assert {(errand.error_code, errand.attempts) for errand in postponed} <= {("POSTPONED", 0)}
