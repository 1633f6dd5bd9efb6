"""The rows derived from a note's text: the names it goes by and the links it holds. Called by services alone."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.db import connection

from kjxlkj.notes.bulk import copy_rows
from kjxlkj.notes.markdown import attachment_keys, link_key, note_keys, parse_links
from kjxlkj.notes.models import Note, NoteLink, NoteName

KEY_MAX_BYTES = 1024

# Which note a key means: the best rank, then the shortest path, then the oldest note. Deterministic, and one
# statement for any number of keys.
_MEANT = """
SELECT DISTINCT ON (name.key) name.key, name.note_id
FROM notes_notename AS name JOIN notes_note AS note ON note.id = name.note_id
WHERE name.workspace_id = %s AND name.key = ANY(%s)
ORDER BY name.key, name.rank, length(note.path), note.id
"""
# Which attachment: the surest key, then likewise.
_MEANT_FILE = """
SELECT DISTINCT ON (name.key) name.key, file.id AS file_id
FROM notes_attachment AS file, unnest(file.keys) WITH ORDINALITY AS name(key, rank)
WHERE file.workspace_id = %s AND file.deleted_at IS NULL AND file.keys && %s::varchar[] AND name.key = ANY(%s)
ORDER BY name.key, name.rank, length(file.path), file.id
"""
_RESOLVE = f"""
UPDATE notes_notelink AS link SET target_id = wanted.note_id, attachment_id = wanted.file_id
FROM (
    SELECT l.id, meant.note_id, CASE WHEN meant.note_id IS NULL THEN file.file_id END AS file_id
    FROM notes_notelink AS l LEFT JOIN ({_MEANT}) AS meant USING (key) LEFT JOIN ({_MEANT_FILE}) AS file USING (key)
    WHERE l.workspace_id = %s AND l.key = ANY(%s)
) AS wanted
WHERE link.id = wanted.id AND (link.target_id, link.attachment_id) IS DISTINCT FROM (wanted.note_id, wanted.file_id)
"""  # noqa: S608  constants
_LINK_COLUMNS = (
    "workspace_id", "source_id", "position", "kind", "raw", "key", "heading", "text", "target_id", "attachment_id",
)  # fmt: skip


def reindex(workspace_id: UUID, notes: Sequence[Note], *, fresh: bool = False) -> None:
    """Rewrite names and links of `notes` and resolve every link that their old or new names concern.

    `fresh` says that the notes are new and there is nothing to clear. Deleted notes lose theirs.
    """
    lock_links(workspace_id)
    concerned: set[str] = set()
    if not fresh:
        ids = [note.id for note in notes]
        concerned.update(NoteName.objects.filter(note_id__in=ids).values_list("key", flat=True))
        NoteName.objects.filter(note_id__in=ids).delete()
        NoteLink.objects.filter(source_id__in=ids).delete()
    live = [note for note in notes if note.deleted_at is None]
    names = [(workspace_id, note.id, key, rank) for note in live for key, rank in _names(note)]
    copy_rows(NoteName, ("workspace_id", "note_id", "key", "rank"), names)
    concerned.update(name[2] for name in names)
    links = [row for note in live for row in _links(workspace_id, note)]
    # Links come in resolved; what is left is those that stand elsewhere.
    wanted = {link[5] for link in links}
    notes_meant = _meant(_MEANT, workspace_id, wanted)
    files_meant = files_by_key(workspace_id, wanted - notes_meant.keys())
    rows = ((*link, notes_meant.get(link[5]), files_meant.get(link[5])) for link in links)
    copy_rows(NoteLink, _LINK_COLUMNS, rows)
    _resolve(workspace_id, concerned)


def reindex_attachments(workspace_id: UUID, paths: Iterable[str]) -> None:
    """Resolve every link that these attachments' names concern, after they came or went."""
    _resolve(workspace_id, {key for path in paths for key in attachment_keys(path)})


def files_by_key(workspace_id: UUID, keys: Collection[str]) -> dict[str, UUID]:
    """The live attachments that these keys of links mean, where they mean no note."""
    return _meant(_MEANT_FILE, workspace_id, keys)


def lock_links(workspace_id: UUID) -> None:
    """One transaction at a time resolves a workspace's links: of two that write at once, a note and a link to it,
    the second has to see the first; and they would wait for each other's links.

    It is the lock that numbering the events takes anyway (`workspaces.events.record`), somewhat earlier.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM workspaces_workspace WHERE id = %s FOR NO KEY UPDATE", [workspace_id])


def _meant(statement: str, workspace_id: UUID, keys: Collection[str]) -> dict[str, UUID]:
    if not keys:
        return {}
    listed = sorted(keys)
    with connection.cursor() as cursor:
        cursor.execute(statement, [workspace_id, *[listed] * (statement.count("%s") - 1)])
        return dict(cursor.fetchall())


def _resolve(workspace_id: UUID, keys: Collection[str]) -> None:
    if keys:
        listed = sorted(keys)
        with connection.cursor() as cursor:
            cursor.execute(_RESOLVE, [workspace_id, listed, workspace_id, listed, listed, workspace_id, listed])


def _names(note: Note) -> list[tuple[str, int]]:
    """Keys with their best rank; an over-long key could not be indexed, and nothing could link to it."""
    best: dict[str, int] = {}
    for key, rank in note_keys(note.path, note.title, note.aliases):
        if key and len(key.encode()) <= KEY_MAX_BYTES:
            best[key] = min(rank, best.get(key, rank))
    return list(best.items())


def _links(workspace_id: UUID, note: Note) -> list[tuple[UUID, UUID, int, str, str, str, str, str]]:
    return [
        (
            workspace_id,
            note.id,
            position,
            link.kind,
            link.raw,
            link_key(link, note.path).encode()[:KEY_MAX_BYTES].decode(errors="ignore"),
            (link.heading or "")[:400],
            link.text or "",
        )
        for position, link in enumerate(parse_links(note.body))
    ]
