"""Previews tell what a rule would do, and leave everything as it is."""

import socket

import pytest
from django.db import InternalError, connection, transaction
from django.db.models import FloatField, Func, Q, Value
from django.db.models.lookups import IsNull
from psycopg.errors import ReadOnlySqlTransaction

from automation import actions
from automation.matching import MAX_DEPTH
from automation.models import RunSource, RunTrigger
from automation.preview import preview
from automation.read_only import TooSlow, read_only
from automation.runs import new_run
from automation.services import create_rule, launch_rule, update_rule
from automation.validation import RuleInvalid
from kjxlkj.errors import Invalid, NotFound
from kjxlkj.notes.cause import by
from kjxlkj.notes.filters import VOCABULARY
from kjxlkj.notes.filters.aspects import PATH
from kjxlkj.notes.filters.values import TEXT
from kjxlkj.notes.filters.words import Filter
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import NewNote, create_notes, delete_note, retag_note
from kjxlkj.workspaces.events import NewEvent, record
from kjxlkj.workspaces.models import WorkspaceEvent
from tests.notes.conditions import SAMPLES

pytestmark = pytest.mark.django_db

NOBODY = "0193a1f0-0000-7000-8000-000000000000"
LIBRARIAN = {"kind": "librarian_structure", "plan": {"goal": "File it", "allowed_kinds": ["retag_note", "defer"]}}
# Of actions that cannot do without.
SETTINGS = {"webhook": {"url": "https://example.com/hook"}}


@pytest.fixture
def notes(workspace, owner):
    news = [NewNote(f"N{i:02}", path=f"n{i:02}.md", tags=["even"] if i % 2 == 0 else []) for i in range(30)]
    return create_notes(workspace, news, cause=by(owner))


def event_of(note, kind="note.created"):
    return WorkspaceEvent.objects.get(note_id=note.id, type=kind)


# --- What it tells --------------------------------------------------------------------------------


def test_a_preview_counts_shows_and_says_what_would_be_done(workspace, notes):
    values = {"condition_json": {"tag": "even"}, "action_json": LIBRARIAN, "max_sources": 4}
    told = preview(workspace.id, values)
    assert (told.matching, told.runs) == (15, 4)
    assert [note.path for note in told.notes] == [f"n{i:02}.md" for i in range(0, 30, 2)]
    assert told.does == "Have the librarian propose changes (Goal: File it; It may propose to: retag_note, defer)."
    assert (told.note, told.decision, told.verdicts) == (None, None, [])


def test_the_first_twenty_are_shown(workspace, notes):
    told = preview(workspace.id, {"condition_json": {}})
    assert (told.matching, len(told.notes), told.runs, told.does) == (30, 20, 0, "")


@pytest.mark.parametrize("kind", ["librarian_structure", "export_markdown"])
def test_it_makes_the_runs_that_a_launch_makes(workspace, owner, notes, kind):
    for number, (condition, limit) in enumerate([({}, None), ({"tag": "even"}, 7), ({"tag": "even"}, 15)]):
        values = {"condition_json": condition, "action_json": {"kind": kind}, "max_sources": limit}
        rule = create_rule(workspace, actor=owner, name=f"R{number}", **values)
        assert preview(workspace.id, values).runs == len(launch_rule(rule, actor=owner).runs)


def test_without_a_match_only_what_needs_no_notes_runs(workspace, notes):
    nothing = {"tag": "nothing"}
    assert preview(workspace.id, {"condition_json": nothing, "action_json": {"kind": "export_markdown"}}).runs == 1
    assert preview(workspace.id, {"condition_json": nothing, "action_json": LIBRARIAN}).runs == 0


def test_notes_of_other_workspaces_do_not_count(workspace, notes, outsider):
    elsewhere = outsider.memberships.get().workspace
    assert preview(elsewhere.id, {"condition_json": {}}).matching == 0
    with pytest.raises(NotFound) as caught:
        preview(elsewhere.id, {"condition_json": {}}, note_id=notes[0].id)
    assert caught.value.code == "NOTE_NOT_FOUND"


def test_it_takes_as_many_queries_for_one_note_as_for_many(workspace, owner, notes, connection_queries):
    values = {"condition_json": {"any": [{"tag": "even"}, {"tag": "lone"}]}, "action_json": LIBRARIAN}
    many = connection_queries(lambda: preview(workspace.id, values, note_id=notes[0].id))
    values["condition_json"] = {"path_prefix": "n01"}
    assert connection_queries(lambda: preview(workspace.id, values, note_id=notes[0].id)) == many


# --- A note, an event -----------------------------------------------------------------------------


def test_a_chosen_note_is_judged_part_by_part(workspace, notes):
    values = {"condition_json": {"tag": "even", "title_contains": "n"}}
    good = preview(workspace.id, values, note_id=notes[0].id)
    assert (good.note.title, good.decision.fires, good.decision.reasons) == ("N00", True, [])
    bad = preview(workspace.id, values, note_id=notes[1].id)
    assert not bad.decision.fires
    assert bad.decision.reasons == ["The condition does not hold for the note as it is now."]
    assert [(v.path, v.holds, v.value) for v in bad.verdicts] == [
        ("condition_json", False, ""),
        ("condition_json.tag", False, "no tags"),
        ("condition_json.title_contains", True, "“N01”"),
    ]


def test_a_deleted_note_is_judged_and_not_taken(workspace, owner, notes):
    delete_note(notes[0], base_version=1, cause=by(owner))
    told = preview(workspace.id, {"condition_json": {}}, note_id=notes[0].id)
    assert told.decision.reasons == ["The note is deleted."]
    assert told.matching == 29


def test_a_past_event_fires_where_trigger_and_condition_fit(workspace, notes):
    values = {"condition_json": {"tag": "even"}, "trigger": "note.changed"}
    assert preview(workspace.id, values, event_id=event_of(notes[0]).id).decision.fires
    told = preview(workspace.id, values, event_id=event_of(notes[1]).id)
    assert (told.note.title, told.decision.fires) == ("N01", False)
    values["trigger"] = "note.retagged"
    reasons = preview(workspace.id, values, event_id=event_of(notes[1]).id).decision.reasons
    assert reasons == [
        "The trigger is note.retagged, and the event note.created.",
        "The condition does not hold for the note as it is now.",
    ]


def test_whatever_speaks_against_an_event_is_told(workspace, owner, notes):
    rule = create_rule(workspace, actor=owner, name="R", trigger="note.retagged", action_json=LIBRARIAN)
    retag_note(notes[1], ["even"], base_version=1, cause=by(owner))
    event = event_of(notes[1], "note.retagged")
    values = {"condition_json": {}, "trigger": "note.retagged"}
    assert RunSource.objects.filter(rule=rule, event=event).exists()
    update_rule(rule, actor=owner, enabled=False)
    rule.refresh_from_db()
    reasons = preview(workspace.id, values, event_id=event.id, rule=rule).decision.reasons
    assert reasons == ["The rule is disabled.", "The event was counted for this rule already."]
    assert preview(workspace.id, values, event_id=event.id).decision.fires  # as a rule of its own


def test_a_rule_for_deletions_is_judged_on_the_deleted_note(workspace, owner, notes):
    delete_note(notes[0], base_version=1, cause=by(owner))
    values = {"condition_json": {"tag": "even"}, "trigger": "note.deleted"}
    assert preview(workspace.id, values, event_id=event_of(notes[0], "note.deleted").id).decision.fires
    with transaction.atomic():
        (again,) = record(workspace.id, [NewEvent("note.deleted", note_id=notes[2].id)])
    assert preview(workspace.id, values, event_id=again.id).decision.reasons == ["The note has been restored since."]


def test_a_change_of_a_run_fires_only_what_says_so_and_never_the_rule_itself(workspace, owner, notes):
    rule = create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN, on_automation=True)
    run = launch_rule(rule, actor=owner, note_ids=[notes[0].id]).runs[0]
    with transaction.atomic():
        (event,) = record(workspace.id, [NewEvent("note.updated", note_id=notes[0].id, run_id=run.id)])
    values = {"condition_json": {}, "trigger": "note.updated"}
    reasons = preview(workspace.id, values, event_id=event.id).decision.reasons
    assert reasons == ["A run made this change, and the rule does not fire for those (on_automation)."]
    assert preview(workspace.id, {**values, "on_automation": True}, event_id=event.id).decision.fires
    reasons = preview(workspace.id, values, event_id=event.id, rule=rule).decision.reasons
    assert reasons == ["A run of this rule led to the change, and no rule feeds itself."]


def test_a_chain_is_cut_where_matching_cuts_it(workspace, owner, notes):
    rules = [create_rule(workspace, actor=owner, name=f"R{i}", action_json=LIBRARIAN) for i in range(MAX_DEPTH + 1)]
    values = {"condition_json": {}, "trigger": "note.updated", "on_automation": True}
    for depth in range(MAX_DEPTH + 1):
        run = new_run(rules[depth], RunTrigger.EVENT, chain=tuple(rule.id for rule in rules[:depth]))
        run.save(force_insert=True)
        with transaction.atomic():
            (event,) = record(workspace.id, [NewEvent("note.updated", note_id=notes[0].id, run_id=run.id)])
        assert preview(workspace.id, values, event_id=event.id).decision.fires == (depth < MAX_DEPTH)


@pytest.mark.parametrize("about", [{"note_id": NOBODY}, {"event_id": NOBODY}])
def test_an_unknown_note_or_event_is_not_found(workspace, notes, about):
    with pytest.raises(NotFound):
        preview(workspace.id, {"condition_json": {}}, **about)


def test_an_event_about_no_note_is_not_found(workspace):
    event = WorkspaceEvent.objects.filter(workspace=workspace, note_id=None)[0]
    with pytest.raises(NotFound) as caught:
        preview(workspace.id, {"condition_json": {}}, event_id=event.id)
    assert caught.value.code == "EVENT_NOT_FOUND"


def test_all_faults_are_told_at_once(workspace):
    values = {
        "trigger": "note.exploded",
        "condition_json": {"tog": 1, "not": {"tag": 2}},
        "action_json": {"kind": "librarian_structure", "plan": {"scope": {"tig": 1}, "goal": 5}},
        "max_sources": 0,
    }
    with pytest.raises(RuleInvalid) as caught:
        preview(workspace.id, values)
    assert [fault["path"] for fault in caught.value.details["faults"]] == [
        "trigger",
        "condition_json.tog",
        "condition_json.not.tag",
        "action_json.plan.scope.tig",
        "action_json.plan.goal",
        "max_sources",
    ]


# --- What it leaves -------------------------------------------------------------------------------

_TABLES = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
_DIGEST = "SELECT count(*), md5(coalesce(string_agg(row::text, E'\\n' ORDER BY row::text), '')) FROM {} AS row"
_SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"


def digests():
    """Of every table its number of rows and a digest of them all; and where each sequence stands."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(_DIGEST.format(table))
            found[table] = cursor.fetchone()
        cursor.execute(_SEQUENCES)
        return found, cursor.fetchall()


@pytest.fixture
def no_network(monkeypatch):
    """Python's sockets refuse to connect. The database's is libpq's, and open."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"a preview opened a socket: {args}")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)


def everything_previewed(workspace, notes, rule):
    """With each word and its opposite, and each action; for nobody, a note, an event."""
    event = event_of(notes[1])
    for name, values in SAMPLES.items():
        for value in values:
            condition = {"any": [{name: value}, {"not": {name: value}}]}
            preview(workspace.id, {"condition_json": condition}, note_id=notes[0].id)
    for kind in actions.kinds():
        values = {"condition_json": {}, "action_json": {"kind": kind, **SETTINGS.get(kind, {})}}
        assert preview(workspace.id, values).does
        assert preview(workspace.id, {**values, "trigger": "note.created"}, event_id=event.id, rule=rule).decision


@pytest.mark.django_db(transaction=True)
def test_no_preview_changes_a_row_or_opens_a_socket(workspace, owner, notes, no_network):
    rule = create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN)
    launch_rule(rule, actor=owner)
    before = digests()
    assert before[0]["notes_note"][0] == 30
    everything_previewed(workspace, notes, rule)
    assert digests() == before


def test_nor_does_one_within_another_transaction(workspace, owner, notes, no_network):
    rule = create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN)
    before = digests()
    everything_previewed(workspace, notes, rule)
    assert digests() == before
    create_rule(workspace, actor=owner, name="Still writing", action_json=LIBRARIAN)


@pytest.fixture
def word(monkeypatch):
    """A word whose meaning a test chooses."""

    def define(q):
        monkeypatch.setitem(VOCABULARY, "word", Filter("means", TEXT, q, PATH))
        return {"condition_json": {"word": "x"}}

    return define


def _write(_):
    Note.objects.update(title="seen")
    return Q()


@pytest.mark.django_db(transaction=True)
def test_what_tries_to_write_is_refused_by_the_database(workspace, notes, word):
    with pytest.raises(InternalError) as caught:
        preview(workspace.id, word(_write))
    assert isinstance(caught.value.__cause__, ReadOnlySqlTransaction)
    assert not Note.objects.filter(title="seen").exists()


def test_within_another_transaction_too_and_that_goes_on(workspace, notes, word):
    with pytest.raises(InternalError) as caught:
        preview(workspace.id, word(_write))
    assert isinstance(caught.value.__cause__, ReadOnlySqlTransaction)
    assert retag_note(notes[0], ["x"], base_version=1, cause=by(workspace.owner))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outer", [False, True])
def test_nothing_within_can_give_itself_the_right_to_write(outer):
    with transaction.atomic() if outer else transaction.atomic(durable=False):
        for sql in (
            "SET TRANSACTION READ WRITE",
            "SET transaction_read_only = off",
            "SET LOCAL transaction_read_only = off",
        ):
            with pytest.raises(InternalError), read_only(10), connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.execute(sql)


def test_what_takes_too_long_is_stopped(workspace, notes, word, settings):
    settings.PREVIEW_TIMEOUT_SECONDS = 0.05
    asleep = Func(Value(30.0), function="pg_sleep", output_field=FloatField())
    with pytest.raises(Invalid) as caught:
        preview(workspace.id, word(lambda _: Q(IsNull(asleep, False))))
    assert caught.value.code == "PREVIEW_TOO_SLOW"
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_other_faults_of_the_database_are_not_taken_for_slowness():
    with pytest.raises(Exception, match="division by zero") as caught, read_only(10), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
    assert not isinstance(caught.value, TooSlow)
