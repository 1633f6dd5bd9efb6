"""The only code that writes notes. One door for people, operations, imports and rollbacks.

Every write is: lock the rows, compare the versions, write Note + NoteEvent + names and links, record the workspace
events; all in one transaction, the events last (see `workspaces.events.record` for why).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from psycopg.types.json import Jsonb

from kjxlkj.errors import Conflict, NotFound
from kjxlkj.ids import new_id
from kjxlkj.notes import front_matter as yaml_block
from kjxlkj.notes.bulk import copy_rows
from kjxlkj.notes.cause import Cause
from kjxlkj.notes.checks import CHECKS
from kjxlkj.notes.history import state_at
from kjxlkj.notes.index import reindex
from kjxlkj.notes.models import VERSIONED_FIELDS, Note, NoteEvent
from kjxlkj.request_id import current_request_id
from kjxlkj.workspaces.events import NewEvent, record
from kjxlkj.workspaces.models import Workspace

# Changes of these alter names or links; tags alone do not.
_INDEXED = {"path", "title", "body", "aliases", "deleted_at"}


@dataclass(frozen=True, slots=True)
class NewNote:
    title: str
    body: str = ""
    path: str = ""
    tags: Sequence[str] = ()
    aliases: Sequence[str] = ()
    front_matter: str = ""
    kind: str = "markdown"
    metadata: Mapping[str, Any] | None = None
    """`front_matter` parsed, where that has been done already."""


@dataclass(frozen=True, slots=True)
class NoteChange:
    """New values of some versioned fields of the note, as it stood at `base_version`."""

    note_id: UUID
    base_version: int
    values: Mapping[str, Any]


def create_note(workspace: Workspace, new: NewNote, *, cause: Cause) -> Note:
    return create_notes(workspace, [new], cause=cause)[0]


@transaction.atomic
def create_notes(workspace: Workspace, news: Sequence[NewNote], *, cause: Cause) -> list[Note]:
    """Raises `Conflict` PATH_TAKEN, or an error of `notes.checks`; either way nothing is written."""
    now = timezone.now()
    notes = [_built(workspace, new, now) for new in news]
    try:
        with transaction.atomic():
            copy_rows(Note, _NOTE_COLUMNS, ([getattr(note, name) for name in _NOTE_COLUMNS] for note in notes))
    except IntegrityError as error:
        raise _path_taken(error) from error
    _record_versions([(note, [], {}) for note in notes], cause)
    reindex(workspace.id, notes, fresh=True)
    events = [
        NewEvent("note.created", note.id, {"version": 1, "path": note.path, "title": note.title}) for note in notes
    ]
    record(workspace.id, events, actor=cause.actor, run_id=cause.run_id)
    return notes


def update_note(note: Note, *, base_version: int, cause: Cause, **values: Any) -> Note:
    """Change fields of a live note. Saying what it says already is accepted and writes nothing."""
    return change_notes(note.workspace_id, [NoteChange(note.id, base_version, values)], cause=cause)[0]


def retag_note(note: Note, tags: Sequence[str], *, base_version: int, cause: Cause) -> Note:
    return update_note(note, base_version=base_version, cause=cause, tags=tags)


def delete_note(note: Note, *, base_version: int, cause: Cause) -> Note:
    return update_note(note, base_version=base_version, cause=cause, deleted_at=timezone.now())


def restore_note(note: Note, *, base_version: int, cause: Cause) -> Note:
    if note.deleted_at is None:
        raise Conflict("NOTE_NOT_DELETED", "The note is not deleted; there is nothing to restore.")
    return update_note(note, base_version=base_version, cause=cause, deleted_at=None)


def roll_back_note(note: Note, *, to_version: int, base_version: int, cause: Cause) -> Note:
    """Bring back what the note said at `to_version`, as a new version."""
    return update_note(note, base_version=base_version, cause=cause, **state_at(note, to_version))


@transaction.atomic
def change_notes(workspace_id: UUID, changes: Sequence[NoteChange], *, cause: Cause) -> list[Note]:
    """Apply `changes` (one for each note), all or none.

    Raises `NotFound` NOTE_NOT_FOUND, `Conflict` VERSION_CONFLICT or PATH_TAKEN, or an error of `notes.checks`.
    """
    notes = _locked(workspace_id, [change.note_id for change in changes])
    written = []
    for change in changes:
        note = notes[change.note_id]
        before = _applied(note, change)
        if before:
            note.version += 1
            note.updated_at = timezone.now()
            written.append((note, sorted(before), before))
    if written:
        _save([note for note, _, _ in written])
        _record_versions(written, cause)
        indexed = [note for note, changed, _ in written if _INDEXED & set(changed)]
        if indexed:
            reindex(workspace_id, indexed)
        events = [event for note, changed, before in written for event in _events(note, changed, before)]
        record(workspace_id, events, actor=cause.actor, run_id=cause.run_id)
    return [notes[change.note_id] for change in changes]


# --- Steps ----------------------------------------------------------------------------------------

_NOTE_COLUMNS = (
    "id", "workspace_id", "path", "title", "body", "front_matter", "tags", "aliases", "metadata", "kind", "version",
    "created_at", "updated_at",
)  # fmt: skip


def _built(workspace: Workspace, new: NewNote, now: Any) -> Note:
    values = {name: check(getattr(new, name)) for name, check in CHECKS.items()}
    metadata = yaml_block.parse(values["front_matter"]).metadata if new.metadata is None else new.metadata
    return Note(
        id=new_id(),
        workspace=workspace,
        version=1,
        metadata=dict(metadata),
        created_at=now,
        updated_at=now,
        **values,
    )


def _locked(workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Note]:
    """Lock in the order of ids, so that two writers of the same notes cannot wait for each other.

    `no_key`, here and everywhere: a row that refers to a locked one (a link to this note) need not wait for it, and
    so nobody waits for a note while holding the workspace.
    """
    rows = Note.objects.filter(workspace_id=workspace_id, id__in=ids).order_by("id").select_for_update(no_key=True)
    notes = {note.id: note for note in rows}
    missing = [str(note_id) for note_id in ids if note_id not in notes]
    if missing:
        raise NotFound("NOTE_NOT_FOUND", "There is no such note in this workspace.", {"note_ids": missing})
    return notes


def _applied(note: Note, change: NoteChange) -> dict[str, Any]:
    """Set the new values on `note`; return the former ones of those that differ."""
    if note.version != change.base_version:
        raise Conflict(
            "VERSION_CONFLICT",
            f"The note is at version {note.version}, not {change.base_version}. Read it again and redo the change.",
            {"note_id": str(note.id), "current_version": note.version, "base_version": change.base_version},
        )
    if note.deleted_at is not None and change.values.get("deleted_at", note.deleted_at) is not None:
        raise NotFound("NOTE_NOT_FOUND", "The note is deleted. Restore it first.", {"note_ids": [str(note.id)]})
    before = {}
    for name, value in change.values.items():
        if name not in VERSIONED_FIELDS:
            raise TypeError(f"{name} is not a versioned field")
        clean = CHECKS[name](value) if name in CHECKS else value
        if clean != getattr(note, name):
            before[name] = getattr(note, name)
            setattr(note, name, clean)
    if "front_matter" in before:
        note.metadata = yaml_block.parse(note.front_matter).metadata
    return before


_SAVE = """
UPDATE notes_note AS note SET
    path = new.path, title = new.title, body = new.body, front_matter = new.front_matter, tags = new.tags,
    aliases = new.aliases, metadata = new.metadata, version = new.version, deleted_at = new.deleted_at,
    updated_at = new.updated_at
FROM jsonb_to_recordset(%s::jsonb) AS new(id uuid, path text, title text, body text, front_matter text, tags text[],
    aliases text[], metadata jsonb, version int, deleted_at timestamptz, updated_at timestamptz)
WHERE note.id = new.id
"""


def _save(notes: Sequence[Note]) -> None:
    names = ("id", "path", "title", "body", "front_matter", "tags", "aliases", "metadata", "version", "deleted_at",
             "updated_at")  # fmt: skip
    rows = [{name: _jsonable(getattr(note, name)) for name in names} for note in notes]
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            parameters: list[Any] = [Jsonb(rows)]
            cursor.execute(_SAVE, parameters)
    except IntegrityError as error:
        raise _path_taken(error) from error


def _record_versions(written: Sequence[tuple[Note, Sequence[str], Mapping[str, Any]]], cause: Cause) -> None:
    columns = ("id", "note_id", "seq", "changed", "before", "actor_id", "cause", "run_id", "operation_id", "reason",
               "request_id", "created_at")  # fmt: skip
    actor_id = cause.actor.id if cause.actor else None
    request_id = current_request_id()
    copy_rows(
        NoteEvent,
        columns,
        (
            (new_id(), note.id, note.version, list(changed), {k: _jsonable(v) for k, v in before.items()}, actor_id,
             str(cause.kind), cause.run_id, cause.operation_id, cause.reason, request_id, note.updated_at)
            for note, changed, before in written
        ),
    )  # fmt: skip


def _events(note: Note, changed: Sequence[str], before: Mapping[str, Any]) -> list[NewEvent]:
    """One event for each aspect, so that a rule on retagging hears of a write that also changed the text."""
    base = {"version": note.version, "path": note.path, "title": note.title}
    if "deleted_at" in changed:
        return [NewEvent("note.deleted" if note.deleted_at else "note.restored", note.id, base)]
    events = []
    if "title" in changed:
        events.append(NewEvent("note.retitled", note.id, {**base, "old_title": before["title"]}))
    if "tags" in changed:
        old, new = set(before["tags"]), set(note.tags)
        diff = {"added": sorted(new - old), "removed": sorted(old - new)}
        events.append(NewEvent("note.retagged", note.id, {**base, **diff}))
    rest = [name for name in changed if name not in {"title", "tags"}]
    if rest and not (rest == ["aliases"] and "title" in changed):
        events.append(NewEvent("note.updated", note.id, {**base, "changed": rest}))
    return events


def _jsonable(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _path_taken(error: IntegrityError) -> Conflict | IntegrityError:
    """The clash of two live notes on one path in words; any other integrity error as it is."""
    diagnostics = getattr(error.__cause__, "diag", None)
    if getattr(diagnostics, "constraint_name", None) != "note_path_once":
        return error
    return Conflict(
        "PATH_TAKEN",
        "path: another note has this path already. Choose another path, or change that note.",
        {"field": "path"},
    )
