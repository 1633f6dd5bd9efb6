"""Launching a rule by hand, for an event, again after a failure; cancelling."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connections

from automation.models import Rule, Run
from automation.services import cancel_run, create_rule, delete_rule, launch_rule, retry_run, update_rule
from kjxlkj.errors import Conflict, Forbidden, Invalid, NotFound
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_notes
from kjxlkj.workspaces.models import WorkspaceEvent
from kjxlkj.workspaces.services import archive_workspace

LIBRARIAN = {"kind": "librarian_structure"}


@pytest.fixture
def rule(workspace, owner):
    return create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN, condition_json={"folder": "inbox"})


@pytest.fixture
def notes(workspace, owner):
    news = [NewNote(f"N{i}", path=f"inbox/n{i}.md") for i in range(5)]
    return create_notes(workspace, [*news, NewNote("Else", path="else.md")], cause=by(owner))


@pytest.mark.django_db
def test_a_launch_covers_every_note_that_matches_in_runs_of_one_batch(rule, notes, owner):
    update_rule(rule, actor=owner, max_sources=2)
    launch = launch_rule(rule, actor=owner)
    assert launch.created
    assert [run.sources.count() for run in launch.runs] == [2, 2, 1]
    assert {run.batch for run in launch.runs} == {launch.batch}
    covered = {note for run in launch.runs for note in run.sources.values_list("note_id", flat=True)}
    assert covered == {note.id for note in notes[:5]}


@pytest.mark.django_db
def test_a_launch_can_be_narrowed_to_some_notes(rule, notes, owner):
    launch = launch_rule(rule, actor=owner, note_ids=[notes[0].id, notes[5].id])
    assert list(launch.runs[0].sources.values_list("note_id", flat=True)) == [notes[0].id]


@pytest.mark.django_db
def test_a_disabled_rule_and_an_empty_match_are_told(rule, owner, workspace):
    with pytest.raises(Invalid, match="Loosen") as nothing:
        launch_rule(rule, actor=owner)
    assert nothing.value.code == "NOTHING_MATCHES"
    update_rule(rule, actor=owner, enabled=False)
    with pytest.raises(Invalid, match="Enable") as disabled:
        launch_rule(rule, actor=owner)
    assert disabled.value.code == "RULE_DISABLED"
    assert not Run.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_same_event_launches_once_however_many_ask(rule, notes, owner):
    event = WorkspaceEvent.objects.get(note_id=notes[0].id)

    def launch(_):
        try:
            return launch_rule(Rule.objects.get(pk=rule.pk), actor=owner, event_id=event.id)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        launches = list(pool.map(launch, range(8)))
    assert sum(launch.created for launch in launches) == 1
    assert {run.id for launch in launches for run in launch.runs} == {Run.objects.get().id}


@pytest.mark.django_db
def test_an_unknown_event_is_told(rule, owner):
    with pytest.raises(NotFound, match="event_id"):
        launch_rule(rule, actor=owner, event_id=uuid4())


@pytest.mark.django_db
def test_launching_takes_an_admin(rule, notes, editor, outsider):
    with pytest.raises(Forbidden):
        launch_rule(rule, actor=editor)
    with pytest.raises(NotFound):
        launch_rule(rule, actor=outsider)


@pytest.mark.django_db
def test_a_rule_that_was_switched_off_or_deleted_is_not_tried_again(rule, notes, owner):
    run = cancel_run(launch_rule(rule, actor=owner).runs[0], actor=owner)
    update_rule(rule, actor=owner, enabled=False)
    with pytest.raises(Invalid, match="Enable it first"):
        retry_run(run, actor=owner)
    delete_rule(rule, actor=owner)
    with pytest.raises(Invalid, match="deleted"):
        retry_run(run, actor=owner)
    with pytest.raises(NotFound, match="deleted"):
        update_rule(rule, actor=owner, enabled=True)
    assert Run.objects.count() == 1


@pytest.mark.django_db
def test_a_queued_run_is_cancelled_and_then_tried_again_over_the_same_notes(rule, notes, owner):
    run = launch_rule(rule, actor=owner).runs[0]
    with pytest.raises(Conflict, match="only a failed run"):
        retry_run(run, actor=owner)
    run = cancel_run(run, actor=owner)
    assert (run.status, run.error_code) == ("failed", "CANCELLED")
    with pytest.raises(Conflict):
        cancel_run(run, actor=owner)
    again = retry_run(run, actor=owner)
    assert (again.status, again.trigger, again.result_json) == ("queued", "retry", {"retry_of": str(run.id)})
    assert set(again.sources.values_list("note_id")) == set(run.sources.values_list("note_id"))
    types = WorkspaceEvent.objects.filter(run_id__isnull=False).order_by("seq").values_list("type", flat=True)
    assert list(types) == ["run.queued", "run.failed", "run.queued"]


@pytest.mark.django_db
def test_an_event_and_notes_together_are_refused(rule, notes, owner):
    event = WorkspaceEvent.objects.get(note_id=notes[0].id)
    with pytest.raises(Invalid, match="not both"):
        launch_rule(rule, actor=owner, event_id=event.id, note_ids=[notes[0].id])


@pytest.mark.django_db
def test_in_an_archived_workspace_nothing_is_launched_but_what_runs_can_be_cancelled(rule, notes, owner, workspace):
    run = launch_rule(rule, actor=owner).runs[0]
    archive_workspace(workspace, actor=owner)
    rule, run = Rule.objects.get(pk=rule.pk), Run.objects.get(pk=run.pk)
    with pytest.raises(Forbidden, match="archived"):
        launch_rule(rule, actor=owner)
    assert cancel_run(run, actor=owner).error_code == "CANCELLED"


@pytest.mark.django_db
def test_a_run_is_retried_once_however_often_it_is_asked_for(rule, notes, owner):
    (run,) = launch_rule(rule, actor=owner).runs
    cancel_run(run, actor=owner)
    again = retry_run(run, actor=owner)
    assert retry_run(run, actor=owner) == again
    cancel_run(again, actor=owner)
    assert retry_run(run, actor=owner) not in {run, again}


@pytest.mark.django_db
def test_a_retry_is_started_by_a_person_and_stands_in_no_chain(rule, notes, owner):
    (run,) = launch_rule(rule, actor=owner).runs
    Run.objects.filter(pk=run.pk).update(chain=[rule.id] * 4, depth=4)
    cancel_run(run, actor=owner)
    again = retry_run(run, actor=owner)
    assert (again.chain, again.depth, again.source_count) == ([], 0, 5)
