"""Events become runs: each event once, many events few runs, no loops."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from automation.matching import on_events
from automation.models import Run, RunSource
from automation.services import create_rule, update_rule
from kjxlkj.jobs.models import JobStatus
from kjxlkj.notes.cause import Cause, by
from kjxlkj.notes.models import CauseKind
from kjxlkj.notes.services import NewNote, create_note, create_notes, delete_note, retag_note, update_note
from kjxlkj.workspaces.models import WorkspaceEvent

LIBRARIAN = {"kind": "librarian_structure"}


def make_rule(workspace, owner, **values):
    values = {"name": "R", "trigger": "note.changed", "action_json": LIBRARIAN, **values}
    return create_rule(workspace, actor=owner, **values)


def titles(run):
    return sorted(run.sources.values_list("note__title", flat=True))


@pytest.mark.django_db
def test_a_change_that_meets_the_condition_starts_a_run(workspace, owner):
    rule = make_rule(workspace, owner, condition_json={"folder": "inbox"}, settle_seconds=60)
    create_note(workspace, NewNote("Out", path="out.md"), cause=by(owner))
    note = create_note(workspace, NewNote("In", path="inbox/in.md"), cause=by(owner))
    run = Run.objects.get()
    assert (run.rule, run.trigger, run.status, titles(run)) == (rule, "event", "queued", ["In"])
    assert run.triggering_event.note_id == note.id
    assert run.not_before > run.created_at
    assert run.rule_snapshot["condition_json"] == {"folder": "inbox"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("trigger", "fires"),
    [
        ("manual", []),
        ("note.created", ["created"]),
        ("note.retagged", ["retagged"]),
        ("note.retitled", ["retitled"]),
        ("note.updated", ["updated"]),
        ("note.deleted", ["deleted"]),
        ("note.changed", ["created", "retagged", "retitled", "updated"]),
    ],
)
def test_each_trigger_hears_its_own_events(workspace, owner, trigger, fires):
    make_rule(workspace, owner, trigger=trigger)
    note = create_note(workspace, NewNote("One", path="one.md"), cause=by(owner))
    note = retag_note(note, ["x"], base_version=1, cause=by(owner))
    note = update_note(note, base_version=2, cause=by(owner), title="Uno")
    note = update_note(note, base_version=3, cause=by(owner), body="text")
    delete_note(note, base_version=4, cause=by(owner))
    heard = RunSource.objects.values_list("event__type", flat=True)
    assert sorted(heard) == sorted(f"note.{name}" for name in fires)


@pytest.mark.django_db
def test_disabled_and_deleted_rules_stay_silent(workspace, owner):
    make_rule(workspace, owner, enabled=False)
    create_note(workspace, NewNote("One"), cause=by(owner))
    assert not Run.objects.exists()


@pytest.mark.django_db
def test_many_changes_share_runs(workspace, owner):
    make_rule(workspace, owner, max_sources=50, settle_seconds=60)
    for start in range(0, 240, 60):
        news = [NewNote(f"N{i}", path=f"n{i}.md") for i in range(start, start + 60)]
        create_notes(workspace, news, cause=by(owner))
    sizes = sorted(run.sources.count() for run in Run.objects.all())
    assert sizes == [40, 50, 50, 50, 50]


@pytest.mark.django_db
def test_what_happens_after_a_rule_was_changed_starts_a_run_of_the_rule_as_it_is(workspace, owner):
    rule = make_rule(workspace, owner)
    create_note(workspace, NewNote("Before", path="a.md"), cause=by(owner))
    update_rule(rule, actor=owner, action_json={**LIBRARIAN, "plan": {"allowed_kinds": ["retag_note"]}})
    for name in "bc":
        create_note(workspace, NewNote(name, path=f"{name}.md"), cause=by(owner))
    before, after = Run.objects.order_by("id")
    assert (titles(before), titles(after)) == (["Before"], ["b", "c"])
    assert after.rule_snapshot["action_json"]["plan"] == {"allowed_kinds": ["retag_note"]}


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_the_runs_that_wait(workspace, owner):
    make_rule(workspace, owner, max_sources=1)
    notes = create_notes(workspace, [NewNote(f"N{i}", path=f"n{i}.md") for i in range(2)], cause=by(owner))

    def queries():
        with CaptureQueriesContext(connection) as asked:
            update_note(notes[0], base_version=notes[0].version, cause=by(owner), body=f"Text {Run.objects.count()}")
        notes[0].refresh_from_db()
        return len(asked)

    few = queries()
    create_notes(workspace, [NewNote(f"M{i}", path=f"m{i}.md") for i in range(20)], cause=by(owner))
    assert queries() == few


@pytest.mark.django_db
def test_full_runs_that_wait_are_not_read_again(workspace, owner):
    make_rule(workspace, owner, max_sources=2, settle_seconds=60)
    create_notes(workspace, [NewNote(f"N{i}") for i in range(8)], cause=by(owner))
    with CaptureQueriesContext(connection) as captured:
        create_note(workspace, NewNote("One more"), cause=by(owner))
    assert sorted(run.sources.count() for run in Run.objects.all()) == [1, 2, 2, 2, 2]
    read = [query["sql"] for query in captured if "FOR NO KEY UPDATE SKIP LOCKED" in query["sql"]]
    assert len(read) == 1
    assert "HAVING" in read[0]


@pytest.mark.django_db
def test_a_run_that_has_begun_takes_no_more(workspace, owner):
    make_rule(workspace, owner)
    create_note(workspace, NewNote("One"), cause=by(owner))
    first = Run.objects.get()
    Run.objects.filter(pk=first.pk).update(not_before=None)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE automation_run SET status = 'running', attempts = 1, lease_token = gen_random_uuid(),"
            " lease_owner = 'x', lease_expires_at = now() + interval '1 minute', started_at = now()"
        )
    create_note(workspace, NewNote("Two"), cause=by(owner))
    assert titles(first) == ["One"]
    assert titles(Run.objects.get(status=JobStatus.QUEUED)) == ["Two"]
    # Nor when it is back in the queue without the attempt counting: it has read its sources, and asked about them.
    Run.objects.filter(pk=first.pk).update(
        status=JobStatus.QUEUED, attempts=0, lease_token=None, lease_owner="", lease_expires_at=None
    )
    create_note(workspace, NewNote("Three"), cause=by(owner))
    assert titles(first) == ["One"]


@pytest.mark.django_db
def test_one_event_counts_once_for_a_rule(workspace, owner):
    rule = make_rule(workspace, owner)
    create_note(workspace, NewNote("One"), cause=by(owner))
    source = RunSource.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        RunSource.objects.create(run=source.run, rule=rule, note=source.note, event=source.event)


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_the_events(workspace, owner):
    make_rule(workspace, owner, max_sources=1000)

    def queries(count):
        news = [NewNote(f"{count}-{i}") for i in range(count)]
        with CaptureQueriesContext(
            connection,
        ) as captured:
            create_notes(workspace, news, cause=by(owner))
        return len(captured)

    queries(1)
    assert queries(2) == queries(200)


@pytest.mark.django_db
def test_what_a_run_changes_starts_no_rule_unless_it_says_so_and_never_deeper_than_three(workspace, owner):
    silent = make_rule(workspace, owner, name="silent")
    chained = make_rule(workspace, owner, name="chained", on_automation=True)
    note = create_note(workspace, NewNote("One"), cause=by(owner))
    depths = []
    for version in range(1, 6):
        run = chained.runs.latest("depth", "created_at")
        depths.append(run.depth)
        cause = Cause(CauseKind.OPERATION, owner, run_id=run.id)
        note = update_note(note, base_version=version, cause=cause, body=f"v{version}")
    assert depths == [0, 1, 2, 3, 3]
    assert {run.depth for run in silent.runs.all()} == {0}


@pytest.mark.django_db(transaction=True)
def test_no_event_is_lost_or_counted_twice_when_people_write_at_once(workspace, owner):
    make_rule(workspace, owner, max_sources=7)

    def write(part):
        try:
            for i in range(10):
                create_note(workspace, NewNote(f"{part}-{i}"), cause=by(owner))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    events = WorkspaceEvent.objects.filter(type="note.created")
    counted = RunSource.objects.values_list("event_id", flat=True)
    assert sorted(counted) == sorted(events.values_list("id", flat=True))
    assert max(run.sources.count() for run in Run.objects.all()) <= 7
    assert Run.objects.count() == 12  # 80 notes in sevens: every run but the last is full


@pytest.mark.django_db
def test_events_delivered_again_are_refused_by_the_constraint(workspace, owner):
    make_rule(workspace, owner)
    create_note(workspace, NewNote("One"), cause=by(owner))
    events = list(WorkspaceEvent.objects.filter(type="note.created"))
    with pytest.raises(IntegrityError), transaction.atomic():
        on_events(events)
    assert RunSource.objects.count() == 1
