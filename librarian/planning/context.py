"""What a model is told besides the notes it works on: their neighbours, names to link to, tags to reuse.

A note that may not be sent to the provider leaves no trace in any of it, and neither do tags that no other note bears.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Func, TextField
from django.db.models.functions import Left

from kjxlkj.notes.filters import condition_q
from kjxlkj.notes.markdown import can_be_target, name_key, plain_text
from kjxlkj.notes.models import Note, NoteKind, NoteName
from librarian.bundles import Related
from librarian.index_store import index_of
from librarian.planning.privacy import may_be_sent
from librarian.providers.offline import document

_NEIGHBOURS = 5
_OPENING_CHARACTERS = 160
_MOST_TAGS = 80


@dataclass(frozen=True, slots=True)
class Context:
    """Of some sources: neighbours by source, nearest first; the names under which links find each; tags by use."""

    related: Mapping[UUID, tuple[Related, ...]]
    names: Mapping[UUID, str]
    tags: tuple[str, ...]

    def tags_for(self, sources: Iterable[Note]) -> tuple[str, ...]:
        """Nearest first, then most used."""
        near = [tag for note in sources for each in self.related.get(note.id, ()) for tag in each.note.tags]
        return tuple(dict.fromkeys((*near, *self.tags)))[:_MOST_TAGS]


def context_of(
    workspace_id: UUID, sources: Sequence[Note], *, is_local: bool, scope: Mapping[str, Any] | None = None
) -> Context:
    """In a constant number of queries. Of what lies outside of the `scope`, a condition, nothing is told."""
    sendable = Note.objects.live().filter(may_be_sent(is_local=is_local), workspace_id=workspace_id)
    sendable = sendable.filter(kind=NoteKind.MARKDOWN)
    if scope:
        sendable = sendable.filter(pk__in=sendable.filter(condition_q(scope)).values("pk"))
    near = index_of(workspace_id).neighbours([document(note) for note in sources], 2 * _NEIGHBOURS)
    wanted = {UUID(each) for row in near for each in row}
    opening = Left("body", 600)
    found = {note.id: note for note in sendable.filter(pk__in=wanted).defer("body").annotate(opening=opening)}
    related = {
        source.id: tuple(
            Related(found[UUID(each)], _opening(vars(found[UUID(each)])["opening"]))
            for each in row
            if UUID(each) in found
        )[:_NEIGHBOURS]
        for source, row in zip(sources, near, strict=True)
    }
    counted = (
        sendable.annotate(tag=Func(F("tags"), function="unnest", output_field=TextField())).values("tag").order_by()
    )
    used = counted.annotate(used=Count("pk")).order_by("-used", "tag").values_list("tag", flat=True)
    return Context(related, _names(workspace_id, found), tuple(used[:_MOST_TAGS]))


def _opening(body: str) -> str:
    return " ".join(plain_text(body).split())[:_OPENING_CHARACTERS]


def _names(workspace_id: UUID, notes: Mapping[UUID, Note]) -> dict[UUID, str]:
    """Title or path, whichever means this note and no other."""
    keys = {name_key(name) for note in notes.values() for name in (note.title, _stem(note))}
    bearers: dict[str, set[UUID]] = {}
    for key, note_id in NoteName.objects.filter(workspace_id=workspace_id, key__in=keys).values_list("key", "note_id"):
        bearers.setdefault(key, set()).add(note_id)
    names = {}
    for note in notes.values():
        for name in (note.title, _stem(note)):
            if can_be_target(name) and bearers.get(name_key(name)) == {note.id}:
                names[note.id] = name
                break
    return names


def _stem(note: Note) -> str:
    return note.path.removesuffix(".md").removesuffix(".markdown")
