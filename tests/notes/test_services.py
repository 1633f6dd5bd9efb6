"""Writing notes: versions, conflicts, what the database refuses, and two writers at once."""

import threading
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection

from kjxlkj.errors import Conflict, Invalid, NotFound, TooLarge
from kjxlkj.notes import services
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note, NoteEvent
from kjxlkj.notes.services import NewNote, NoteChange
from kjxlkj.workspaces.models import WorkspaceEvent


def types_of(note):
    return list(WorkspaceEvent.objects.filter(note_id=note.id).order_by("seq").values_list("type", flat=True))


# --- One writer -----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_write_adds_one_version_one_event_and_one_entry_in_the_log(make_note, owner):
    note = make_note("Tides", body="High.")
    changed = services.update_note(note, base_version=1, cause=by(owner, "ebb"), body="Low.")
    assert (changed.version, Note.objects.get(pk=note.pk).body) == (2, "Low.")
    event = NoteEvent.objects.get(note=note, seq=2)
    assert (event.changed, event.before, event.actor, event.reason) == (["body"], {"body": "High."}, owner, "ebb")
    assert types_of(note) == ["note.created", "note.updated"]


@pytest.mark.django_db
def test_saying_what_a_note_says_already_writes_nothing(make_note, owner):
    note = make_note("Tides", tags=["a b"])
    same = services.update_note(note, base_version=1, cause=by(owner), title=" Tides ", tags=["A_B", "a-b"])
    assert same.version == 1
    assert types_of(note) == ["note.created"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "types"),
    [({"title": "x"}, ["note.retitled"]), ({"tags": ["x"]}, ["note.retagged"]), ({"path": "x.md"}, ["note.updated"]),
     ({"title": "x", "aliases": ["y"]}, ["note.retitled"]),
     ({"title": "x", "tags": ["x"], "body": "x"}, ["note.retitled", "note.retagged", "note.updated"])],
)  # fmt: skip
def test_the_log_tells_each_aspect_of_a_write(make_note, owner, values, types):
    note = make_note("Tides")
    services.update_note(note, base_version=1, cause=by(owner), **values)
    assert types_of(note)[1:] == types


@pytest.mark.django_db
def test_an_old_base_version_is_a_conflict_and_nothing_is_written(make_note, owner):
    note = make_note("Tides")
    services.update_note(note, base_version=1, cause=by(owner), title="Ebb")
    with pytest.raises(Conflict) as caught:
        services.update_note(note, base_version=1, cause=by(owner), title="Flood")
    assert (caught.value.code, caught.value.details["current_version"]) == ("VERSION_CONFLICT", 2)
    assert Note.objects.get(pk=note.pk).title == "Ebb"
    assert NoteEvent.objects.filter(note=note).count() == 2


@pytest.mark.django_db
def test_of_many_changes_all_or_none_are_written(make_note, workspace, owner):
    first, second = make_note("a"), make_note("b")
    changes = [NoteChange(first.id, 1, {"title": "x"}), NoteChange(second.id, 7, {"title": "y"})]
    with pytest.raises(Conflict):
        services.change_notes(workspace.id, changes, cause=by(owner))
    assert Note.objects.get(pk=first.pk).title == "a"
    assert types_of(first) == ["note.created"]


@pytest.mark.django_db
def test_a_note_of_another_workspace_is_not_found(make_note, outsider, owner):
    note = make_note("a")
    elsewhere = outsider.owned_workspaces.get()
    for note_id in (note.id, uuid4()):
        with pytest.raises(NotFound) as caught:
            services.change_notes(elsewhere.id, [NoteChange(note_id, 1, {"title": "x"})], cause=by(owner))
        assert caught.value.code == "NOTE_NOT_FOUND"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "field"),
    [({"title": "a\0"}, "title"), ({"title": "\ud800"}, "title"), ({"body": "a\0"}, "body"),
     ({"path": "a/../b"}, "path"),
     ({"path": "a\\b"}, "path"), ({"path": "a\nb"}, "path"), ({"path": "x" * 1025}, "path"),
     ({"path": "x/" * 64 + "x"}, "path"), ({"tags": "x"}, "tags"),
     ({"front_matter": "a\0"}, "front_matter"), ({"front_matter": "title: x\n"}, "front_matter"),
     ({"front_matter": "---\ntitle: x\n---\nmore\n"}, "front_matter"), ({"aliases": ["\ud800"]}, "aliases")],
)  # fmt: skip
def test_what_a_field_may_not_hold_is_refused_by_name(workspace, owner, values, field):
    with pytest.raises(Invalid) as caught:
        services.create_note(workspace, NewNote(**{"title": "x", **values}), cause=by(owner))
    assert caught.value.details["field"] == field
    assert field in caught.value.message
    assert not Note.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "block", ["---\na: .nan\n---\n", "---\na: .inf\n---\n", '---\na: "\\0"\n---\n', '---\na: "\\ud800"\n---\n']
)
def test_front_matter_that_no_json_can_hold_is_kept_all_the_same(workspace, owner, block):
    note = services.create_note(workspace, NewNote(title="x", front_matter=block), cause=by(owner))
    assert Note.objects.get(pk=note.pk).front_matter == block
    changed = services.update_note(note, base_version=1, cause=by(owner), front_matter=block[:-1])
    assert changed.version == 2


@pytest.mark.django_db
def test_a_body_over_the_limit_is_refused_by_its_bytes(workspace, owner, settings):
    settings.NOTE_BODY_MAX_BYTES = 10
    services.create_note(workspace, NewNote(title="x", body="ä" * 5), cause=by(owner))
    with pytest.raises(TooLarge, match="11 bytes"):
        services.create_note(workspace, NewNote(title="x", body="ä" * 5 + "b"), cause=by(owner))


def _letters(i):
    """Letters of four bytes in UTF-8: 40,000 of them, then pairs."""
    return chr(0x20000 + i % 40_000) + (chr(0x20000 + i // 40_000) if i >= 40_000 else "")


# Distinct words make a search vector large; so do compounds (kept whole and in parts) and words that are stemmed
# (kept in both forms).
_WORST = {
    "single letters": lambda i: _letters(i) + " ",
    "pairs of letters": lambda i: _letters(40_000 + i) + " ",
    "plurals": lambda i: _letters(i) + "s ",
    "compounds": lambda i: _letters(i) + ("-" if i % 50 else " "),
    "compounds of plurals": lambda i: _letters(i) + ("s-" if i % 50 else "s "),
    "addresses": lambda i: f"{i:x}-{i * 7:x}/{i * 11:x}.html ",
}


@pytest.mark.django_db
@pytest.mark.parametrize("words", _WORST)
def test_a_legal_body_of_the_worst_words_can_be_written_and_changed(workspace, owner, settings, words):
    text = "".join(map(_WORST[words], range(200_000)))
    body = text.encode()[: settings.NOTE_BODY_MAX_BYTES].decode(errors="ignore")
    assert len(body.encode()) > settings.NOTE_BODY_MAX_BYTES - 4
    title = "".join(map(_letters, range(200)))
    note = services.create_note(workspace, NewNote(title=title, body=body), cause=by(owner))
    assert services.update_note(note, base_version=1, cause=by(owner), body=f"x{body[1:]}").version == 2


@pytest.mark.django_db
def test_a_path_is_taken_by_live_notes_only(make_note, owner):
    note = make_note("a", path="a.md")
    for taken in (lambda: make_note("b", path="a.md"), lambda: services.update_note(
        make_note("c"), base_version=1, cause=by(owner), path="a.md")):  # fmt: skip
        with pytest.raises(Conflict) as caught:
            taken()
        assert caught.value.code == "PATH_TAKEN"
    services.delete_note(note, base_version=1, cause=by(owner))
    make_note("b", path="a.md")
    with pytest.raises(Conflict) as caught:
        services.restore_note(Note.objects.get(pk=note.pk), base_version=2, cause=by(owner))
    assert caught.value.code == "PATH_TAKEN"
    make_note("d"), make_note("e")


@pytest.mark.django_db
def test_two_notes_may_swap_their_paths_one_after_the_other(make_note, workspace, owner):
    a, b = make_note("a", path="a.md"), make_note("b", path="b.md")
    a = services.update_note(a, base_version=1, cause=by(owner), path="")
    b = services.update_note(b, base_version=1, cause=by(owner), path="a.md")
    services.update_note(a, base_version=2, cause=by(owner), path="b.md")
    assert set(Note.objects.values_list("title", "path")) == {("a", "b.md"), ("b", "a.md")}


@pytest.mark.django_db
def test_a_deleted_note_takes_no_change_but_to_be_restored(make_note, owner):
    note = services.delete_note(make_note("a"), base_version=1, cause=by(owner))
    for attempt in (
        lambda: services.update_note(note, base_version=2, cause=by(owner), title="x"),
        lambda: services.delete_note(note, base_version=2, cause=by(owner)),
        lambda: services.roll_back_note(note, to_version=1, base_version=2, cause=by(owner)),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert services.restore_note(note, base_version=2, cause=by(owner)).deleted_at is None
    assert types_of(note) == ["note.created", "note.deleted", "note.restored"]


# --- What the database holds -----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "error"),
    [("UPDATE notes_note SET title = 'x'", IntegrityError),
     ("UPDATE notes_note SET version = version + 2", IntegrityError),
     ("DELETE FROM notes_note", DatabaseError),
     ("UPDATE notes_note SET version = version + 1, kind = 'x'", IntegrityError),
     ("UPDATE notes_note SET version = version + 1, title = ''", IntegrityError)],
)  # fmt: skip
def test_sql_by_hand_cannot_break_a_note(make_note, statement, error):
    make_note("Tides")
    with pytest.raises(error), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Note.objects.get().version == 1


# --- Two writers at once ---------------------------------------------------------------------------


def at_once(*works):
    gate, outcomes = threading.Barrier(len(works)), [None] * len(works)

    def run(i, work):
        gate.wait()
        try:
            outcomes[i] = work()
        except (Conflict, NotFound) as error:
            outcomes[i] = error.code
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.django_db(transaction=True)
def test_of_writers_at_once_on_one_version_one_wins(make_note, owner):
    note = make_note("Tides")

    def write(i):
        return lambda: services.update_note(note, base_version=1, cause=by(owner), title=f"by {i}").title

    outcomes = at_once(*(write(i) for i in range(6)))
    winners = [outcome for outcome in outcomes if outcome != "VERSION_CONFLICT"]
    note.refresh_from_db()
    assert winners == [note.title]
    assert note.version == 2
    assert NoteEvent.objects.filter(note=note).count() == 2


@pytest.mark.django_db(transaction=True)
def test_writers_of_the_same_notes_in_opposite_order_do_not_deadlock(make_note, workspace, owner):
    notes = [make_note(f"n{i}", body="[[n0]] [[n1]] [[n2]]") for i in range(6)]

    def write(order, title):
        def work():
            done = 0
            while done < 10:
                versions = dict(Note.objects.values_list("id", "version"))
                changes = [
                    NoteChange(note.id, versions[note.id], {"title": f"{title} {done} {i}"})
                    for i, note in enumerate(order)
                ]
                try:
                    services.change_notes(workspace.id, changes, cause=by(owner))
                except Conflict:
                    continue
                done += 1
            return done

        return work

    assert at_once(write(notes, "up"), write(notes[::-1], "down")) == [10, 10]
    assert set(Note.objects.values_list("version", flat=True)) == {21}


@pytest.mark.django_db(transaction=True)
def test_of_two_notes_made_at_once_with_one_path_one_is_made(workspace, owner):
    def make():
        return services.create_note(workspace, NewNote(title="x", path="x.md"), cause=by(owner)).version

    assert sorted(map(str, at_once(make, make, make))) == ["1", "PATH_TAKEN", "PATH_TAKEN"]
    assert Note.objects.count() == 1
