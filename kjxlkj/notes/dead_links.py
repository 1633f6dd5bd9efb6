"""Links that lead nowhere, with the lines on which they stand."""

from collections.abc import Collection, Iterator
from uuid import UUID

from kjxlkj.notes.models import Note, NoteLink
from kjxlkj.notes.sources import Lost

_CHUNK = 500
_SHOWN = 200
# Whose bodies are in memory at the same time.
_TEXTS = 20


def dead_links(workspace_id: UUID, paths: Collection[str]) -> Iterator[Lost]:
    """Of the live notes at these paths."""
    ordered = sorted(paths)
    for start in range(0, len(ordered), _CHUNK):
        notes = Note.objects.live().filter(workspace_id=workspace_id, path__in=ordered[start : start + _CHUNK])
        dead: dict[UUID, list[tuple[str, str]]] = {}
        found = NoteLink.objects.filter(source__in=notes, target=None, attachment=None).order_by(
            "source__path", "position"
        )
        for source, kind, raw in found.values_list("source_id", "kind", "raw"):
            dead.setdefault(source, []).append((kind, raw))
        some = Note.objects.filter(pk__in=dead).order_by("path").only("path", "front_matter", "body")
        for note in some.iterator(chunk_size=_TEXTS):
            yield from _told(note, dead[note.pk])


def _told(note: Note, links: list[tuple[str, str]]) -> Iterator[Lost]:
    line, position = 1 + note.front_matter.count("\n"), 0
    for kind, raw in links:
        at = note.body.find(raw, position)
        if at >= 0:
            line += note.body.count("\n", position, at)
            position = at + 1  # a picture may stand in the text of a link
        if kind == "wikilink":
            yield Lost(note.path, line, "PAGE_MISSING", f"There is no page {raw[:_SHOWN]} (yet).")
        else:
            yield Lost(note.path, line, "LINK_BROKEN", f"There is no file where {raw[:_SHOWN]} leads from here.")
