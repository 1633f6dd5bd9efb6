"""Events become runs: each event once, many events few runs, no loops."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from automation.matching import on_events
from automation.models import Rule, Run, RunSource
from automation.services import create_rule, launch_rule, update_rule
from kjxlkj.jobs.models import JobStatus
from kjxlkj.notes.cause import Cause, by
from kjxlkj.notes.models import CauseKind
from kjxlkj.notes.services import NewNote, create_note, create_notes, delete_note, retag_note, update_note
from kjxlkj.workspaces.models import WorkspaceEvent

LIBRARIAN = {"kind": "librarian_structure"}


def make_rule(workspace, owner, **values):
    values = {"name": "R", "trigger": "note.changed", "action_json": LIBRARIAN, **values}
    return create_rule(workspace, actor=owner, **values)


def caused_by(run, actor):
    return Cause(CauseKind.OPERATION, actor, run_id=run.id)


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

    queries()  # the first has more to ask: it reads the rules
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
    assert '"source_count" < 2' in read[0]
    assert [run.source_count for run in Run.objects.order_by("id")] == [2, 2, 2, 2, 1]


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
def test_what_a_run_changes_starts_no_rule_unless_it_says_so_and_no_rule_feeds_itself(workspace, owner):
    silent = make_rule(workspace, owner, name="silent")
    first, second = (make_rule(workspace, owner, name=name, on_automation=True) for name in ("first", "second"))
    note = create_note(workspace, NewNote("One"), cause=by(owner))
    note = update_note(note, base_version=1, cause=caused_by(first.runs.get(), owner), body="by the first")
    fed = second.runs.get(depth=1)
    assert fed.chain == [first.id]
    update_note(note, base_version=2, cause=caused_by(fed, owner), body="by the second")
    assert [rule.runs.count() for rule in (silent, first, second)] == [1, 1, 2]


@pytest.mark.django_db
def test_a_chain_of_rules_is_cut_after_three_runs_and_tells_so(workspace, owner):
    rules = [
        make_rule(workspace, owner, name=f"R{i}", on_automation=True, trigger="note.updated", settle_seconds=0)
        for i in range(5)
    ]
    note = create_note(workspace, NewNote("One"), cause=by(owner))
    note = update_note(note, base_version=1, cause=by(owner), body="by a person")
    for version, rule in enumerate(rules[:4], start=2):
        run = rule.runs.get(depth=version - 2)
        note = update_note(note, base_version=version, cause=caused_by(run, owner), body=f"v{version}")
    cut = rules[4].runs.get(depth=4)
    assert (cut.status, cut.error_code, titles(cut)) == ("failed", "CHAIN_TOO_DEEP", ["One"])
    assert "after 3 runs that no person started. To here led “R0” → “R1” → “R2” → “R3”." in cut.error_detail
    assert WorkspaceEvent.objects.filter(type="run.failed", run_id=cut.id, payload__code="CHAIN_TOO_DEEP").exists()


@pytest.mark.django_db
def test_a_rule_whose_condition_nobody_understands_any_more_stops_no_writing(workspace, owner, caplog):
    rule = make_rule(workspace, owner)
    Rule.objects.filter(pk=rule.pk).update(condition_json={"a_word_of_an_older_version": 1})
    create_note(workspace, NewNote("One"), cause=by(owner))
    assert not Run.objects.exists()
    assert "is never heard" in caplog.text


@pytest.mark.django_db
def test_a_hundred_rules_are_asked_in_as_many_queries_as_one(workspace, owner):
    note = create_note(workspace, NewNote("One", path="one.md"), cause=by(owner))

    def queries(rules):
        for i in range(rules):
            condition = {"any": [{"folder": f"f{i}"}, {"orphan": False}, {"not": {"untagged": True}}]}
            make_rule(workspace, owner, name=f"{rules}-{i}", condition_json=condition)
        for body in ("the first reads the rules", f"{rules}"):
            note.refresh_from_db()
            with CaptureQueriesContext(connection) as asked:
                update_note(note, base_version=note.version, cause=by(owner), body=body)
        return len(asked)

    assert queries(1) == queries(99)


@pytest.mark.django_db(transaction=True)
def test_rules_that_change_are_heard_as_they_are_by_every_process_at_once(workspace, owner):
    """Each thread keeps what it made of the rules; none may go on with it when they have changed."""
    rule = make_rule(workspace, owner, enabled=False)
    for number, enabled in enumerate((True, False, True, True, False)):
        update_rule(rule, actor=owner, enabled=enabled, condition_json={"folder": f"f{number}"})
        create_note(workspace, NewNote(f"In {number}", path=f"f{number}/a.md"), cause=by(owner))
        create_note(workspace, NewNote(f"Out {number}", path=f"g{number}/a.md"), cause=by(owner))
    counted = RunSource.objects.order_by("id").values_list("note__title", flat=True)
    assert list(counted) == ["In 0", "In 2", "In 3"]


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


@pytest.mark.django_db(transaction=True)
def test_one_event_delivered_by_eight_threads_at_once_is_one_run(workspace, owner):
    event = WorkspaceEvent.objects.get(note_id=create_note(workspace, NewNote("One"), cause=by(owner)).id)
    rule = make_rule(workspace, owner)

    def deliver(number):
        try:
            if number % 2:
                return launch_rule(rule, actor=owner, event_id=event.id).runs[0].id
            with suppress(IntegrityError), transaction.atomic():
                on_events([event])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        launched = list(pool.map(deliver, range(8)))
    run = Run.objects.get()
    assert set(launched) == {None, run.id}
    assert (titles(run), run.triggering_event) == (["One"], event)


@pytest.mark.django_db
def test_events_delivered_again_are_refused_by_the_constraint(workspace, owner):
    make_rule(workspace, owner)
    create_note(workspace, NewNote("One"), cause=by(owner))
    events = list(WorkspaceEvent.objects.filter(type="note.created"))
    with pytest.raises(IntegrityError), transaction.atomic():
        on_events(events)
    assert RunSource.objects.count() == 1
