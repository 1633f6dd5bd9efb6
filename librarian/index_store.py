"""The offline librarian's index of a workspace: built once, kept in a file, shared by workers and runs."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db.models import Max, QuerySet
from django.utils.dateparse import parse_datetime

from kjxlkj.notes.models import Note, NoteKind
from librarian.offline import Document
from librarian.planning.privacy import may_be_sent

if TYPE_CHECKING:
    from librarian.offline.index import Index

# The statistics of a vault hardly move by one note in fifty; the sources' own text is always read afresh.
_STALE_SHARE = 50


def index_of(workspace_id: UUID) -> "Index":
    """The workspace's index, built if there is none that can be read or too many notes have changed since."""
    folder = settings.DATA_DIR / "index" / str(workspace_id)
    folder.mkdir(parents=True, exist_ok=True)
    index = _current(folder, workspace_id)
    if index is None:
        with _one_at_a_time(folder):
            index = _current(folder, workspace_id) or _build(folder, workspace_id)
    return index


def _notes(workspace_id: UUID) -> QuerySet[Note]:
    """What may be learned from: a note that librarians are kept from is not even evidence."""
    return Note.objects.live().filter(may_be_sent(is_local=True), workspace_id=workspace_id, kind=NoteKind.MARKDOWN)


def _current(folder: Path, workspace_id: UUID) -> "Index | None":
    """The newest index, if it is fresh enough and can be read: one of another format or cut short is none."""
    from librarian.offline.index import Index, IndexUnreadableError  # numpy and scipy: for workers alone

    try:
        state = json.loads((folder / "current.json").read_text(encoding="utf-8"))
        built_at = parse_datetime(state["newest"])
        changed = Note.objects.filter(workspace_id=workspace_id, updated_at__gt=built_at).count()
        return Index.load(folder / state["file"]) if changed * _STALE_SHARE <= state["notes"] else None
    except (FileNotFoundError, json.JSONDecodeError, IndexUnreadableError):
        return None


def _build(folder: Path, workspace_id: UUID) -> "Index":
    # Read before the notes: what changes while we read counts as changed since.
    newest: datetime | None = Note.objects.filter(workspace_id=workspace_id).aggregate(at=Max("updated_at"))["at"]
    from librarian.offline.index import Index  # as above

    notes = _notes(workspace_id)
    index = Index.build(_documents(notes))
    name = f"{newest:%Y%m%dT%H%M%S%f}.npz" if newest else "empty.npz"
    index.save(folder / name)
    state = {"file": name, "newest": str(newest), "notes": notes.count()}
    draft = folder / "current.json.new"
    draft.write_text(json.dumps(state), encoding="utf-8")
    draft.replace(folder / "current.json")
    # The one before stays: another worker may be about to open it.
    for old in sorted(folder.glob("*.npz"))[:-2]:
        old.unlink(missing_ok=True)
    return Index.load(folder / name)


def _documents(notes: QuerySet[Note]) -> Iterator[Document]:
    rows = notes.order_by("path", "id").values_list("id", "path", "title", "body", "tags", "aliases")
    for note_id, path, title, body, tags, aliases in rows.iterator(chunk_size=500):
        yield Document(str(note_id), path, title, body, tuple(tags), tuple(aliases))


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Whoever comes while another process builds waits for what that one builds. A kill releases the lock."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
