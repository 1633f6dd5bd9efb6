"""The database alone holds the state machine: no code of ours is between these statements and the tables."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from kjxlkj.jobs.models import JobStatus
from tests.jobs.testapp.models import Errand

pytestmark = pytest.mark.django_db

ALLOWED = {
    ("queued", "running"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "queued"),
    ("queued", "failed"),
}


def columns_for(status: str) -> dict[str, object]:
    """What a row needs besides its status to be sound, so that nothing but the transition can be refused."""
    now = timezone.now()
    lease = (
        {"lease_token": uuid4(), "lease_owner": "a/1", "lease_expires_at": now, "started_at": now, "attempts": 1}
        if status == "running"
        else {"lease_token": None, "lease_owner": "", "lease_expires_at": None}
    )
    return {
        "status": status,
        "finished_at": now if status in ("succeeded", "failed") else None,
        "error_code": "ANY" if status == "failed" else "",
        **lease,
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(JobStatus.values), max_size=8))
def test_only_the_five_transitions_are_possible_by_any_sequence_of_updates(targets: list[str]) -> None:
    errand = Errand.objects.create(script="succeed")
    current = "queued"
    for target in targets:
        try:
            with transaction.atomic():
                Errand.objects.filter(pk=errand.pk).update(**columns_for(target))
            moved = True
        except DatabaseError:
            moved = False
        assert moved == (target == current or (current, target) in ALLOWED), (current, target)
        current = target if moved else current
        assert Errand.objects.get(pk=errand.pk).status == current


@pytest.mark.parametrize("status", ["running", "succeeded", "failed"])
def test_a_job_is_born_queued(status: str) -> None:
    with pytest.raises(DatabaseError, match="Cannot insert"), transaction.atomic():
        Errand.objects.create(script="succeed", **columns_for(status))


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        ("running", {"lease_token": None}),
        ("running", {"lease_expires_at": None}),
        ("running", {"attempts": 0}),
        ("running", {"attempts": 4}),
        ("queued", {"lease_token": uuid4()}),
        ("queued", {"attempts": 3}),
        ("queued", {"finished_at": timezone.now()}),
        ("failed", {"error_code": ""}),
        ("failed", {"finished_at": None}),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(status: str, fault: dict[str, object]) -> None:
    errand = Errand.objects.create(script="succeed")
    Errand.objects.filter(pk=errand.pk).update(**columns_for("running"))
    with pytest.raises(IntegrityError), transaction.atomic():
        Errand.objects.filter(pk=errand.pk).update(**{**columns_for(status), **fault})


def test_an_unknown_status_is_refused() -> None:
    errand = Errand.objects.create(script="succeed")
    with pytest.raises(DatabaseError), transaction.atomic():
        Errand.objects.filter(pk=errand.pk).update(status="paused")


def test_raw_sql_cannot_go_round_the_state_machine() -> None:
    errand = Errand.objects.create(script="succeed")
    with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic(), connection.cursor() as c:
        c.execute("UPDATE testapp_errand SET status = 'succeeded', finished_at = now() WHERE id = %s", [errand.pk])


def test_reads_tell_due_live_and_expired_jobs_apart() -> None:
    now = timezone.now()
    due = Errand.objects.create(script="a")
    Errand.objects.create(script="b", not_before=now + timedelta(hours=1))
    live, expired = Errand.objects.create(script="c"), Errand.objects.create(script="d")
    for errand, at in ((live, now + timedelta(hours=1)), (expired, now - timedelta(seconds=1))):
        Errand.objects.filter(pk=errand.pk).update(**{**columns_for("running"), "lease_expires_at": at})
    assert list(Errand.objects.due()) == [due]
    assert list(Errand.objects.live()) == [live]
    assert list(Errand.objects.expired()) == [expired]
    assert Errand.objects.unfinished().count() == 4
