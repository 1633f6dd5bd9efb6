"""Old runs are forgotten by kind of result; what people decided about stays."""

from datetime import timedelta

import pytest
from django.utils import timezone

from automation.models import Run, RunSource, RunTrigger
from automation.retention import forget
from automation.runs import new_run
from automation.services import create_rule
from kjxlkj.jobs.registry import hourly
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note
from librarian.models import Operation

pytestmark = pytest.mark.django_db

LIBRARIAN = {"kind": "librarian_structure"}


@pytest.fixture
def rule(workspace, owner):
    return create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN)


def add_finished(rule, count, code=""):
    """Oldest first; each a minute after the one before."""
    runs = [new_run(rule, RunTrigger.MANUAL) for _ in range(count)]
    Run.objects.bulk_create(runs)
    began = timezone.now() - timedelta(days=30)
    for number, run in enumerate(runs):
        finished = {"finished_at": began + timedelta(minutes=number), "started_at": began}
        lease = {"lease_token": run.id, "lease_owner": "w", "lease_expires_at": began, "attempts": 1}
        Run.objects.filter(pk=run.pk).update(status="running", **lease, started_at=began)
        none = {"lease_token": None, "lease_owner": "", "lease_expires_at": None}
        end = {"status": "failed" if code else "succeeded", "error_code": code}
        Run.objects.filter(pk=run.pk).update(**end, **none, **finished)
    return [run.id for run in runs]


def test_of_each_kind_of_result_the_newest_are_kept(rule, settings):
    settings.RUNS_KEPT = 2
    lost, cancelled, well = (add_finished(rule, 4, code) for code in ("WORKER_LOST", "CANCELLED", ""))
    assert forget() == 6
    assert set(Run.objects.values_list("id", flat=True)) == {*lost[2:], *cancelled[2:], *well[2:]}


def test_each_rule_has_its_own(workspace, owner, rule, settings):
    settings.RUNS_KEPT = 1
    other = create_rule(workspace, actor=owner, name="Other", action_json=LIBRARIAN)
    kept = [add_finished(each, 3)[-1] for each in (rule, other)]
    forget()
    assert set(Run.objects.values_list("id", flat=True)) == set(kept)


def test_a_run_that_proposed_something_stays_and_one_that_is_not_finished(workspace, owner, rule, settings):
    settings.RUNS_KEPT = 1
    first, second, newest = add_finished(rule, 3)
    note = create_note(workspace, NewNote("One"), cause=by(owner))
    Operation.objects.create(
        run_id=first,
        workspace=workspace,
        index=0,
        operation_id="1",
        kind="defer",
        target_note=note,
        reason="why",
        confidence=1,
    )
    RunSource.objects.create(run_id=second, rule=rule, note=note)
    Run.objects.bulk_create([waiting := new_run(rule, RunTrigger.MANUAL)])
    forget()
    assert set(Run.objects.values_list("id", flat=True)) == {first, newest, waiting.id}
    assert not RunSource.objects.exists()


def test_many_are_forgotten_in_few_statements(rule, settings, django_assert_max_num_queries):
    settings.RUNS_KEPT = 1
    add_finished(rule, 40)
    with django_assert_max_num_queries(20):
        assert forget() == 39


def test_the_chore_looks_once_an_hour(rule, settings):
    settings.RUNS_KEPT = 1
    chore = hourly(forget)
    add_finished(rule, 2)
    chore()
    add_finished(rule, 2)
    chore()
    assert Run.objects.count() == 3
