"""What a model is told besides the notes it works on: their neighbours, names to link to, tags to reuse.

A note that may not be sent to the provider leaves no trace in any of it, and neither do tags that no other note bears.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Func, QuerySet, TextField
from django.db.models.functions import Left

from kjxlkj.notes.filters import condition_q
from kjxlkj.notes.markdown import can_be_target, name_key, plain_text
from kjxlkj.notes.models import Note, NoteKind, NoteName
from librarian.bundles import Related
from librarian.index_store import index_of
from librarian.planning.privacy import may_be_sent
from librarian.providers.offline import document

_NEIGHBOURS = 5
_CANDIDATES = 5
_OPENING_CHARACTERS = 160
_MOST_TAGS = 80


@dataclass(frozen=True, slots=True)
class Context:
    """Of some sources: neighbours by source, nearest first; names to link to by source, those that stand in its own
    text first; every note that is told of; tags by use."""

    related: Mapping[UUID, tuple[Related, ...]]
    link_candidates: Mapping[UUID, tuple[tuple[str, UUID], ...]]
    notes: Mapping[UUID, Note]
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
    # Twice as many as are told: some of them may not be sent.
    beside = index_of(workspace_id).surroundings([document(note) for note in sources], 2 * _NEIGHBOURS)
    wanted = {UUID(each) for row in beside for each in (*row.alike, *(named for named, _ in row.named))}
    opening = Left("body", 600)
    notes = {note.id: note for note in sendable.filter(pk__in=wanted).defer("body").annotate(opening=opening)}
    names = _Names.of(workspace_id, notes.values())
    related, candidates = {}, {}
    for source, row in zip(sources, beside, strict=True):
        alike = [notes[UUID(each)] for each in row.alike if UUID(each) in notes][:_NEIGHBOURS]
        named = [(notes[UUID(each)], words) for each, words in row.named if UUID(each) in notes]
        related[source.id] = tuple(Related(note, _opening(vars(note)["opening"])) for note in alike)
        candidates[source.id] = names.candidates(named, alike)
    return Context(related, candidates, notes, _tags(sendable))


def _tags(notes: QuerySet[Note]) -> tuple[str, ...]:
    """The most used first."""
    counted = notes.annotate(tag=Func(F("tags"), function="unnest", output_field=TextField())).values("tag").order_by()
    used = counted.annotate(used=Count("pk")).order_by("-used", "tag").values_list("tag", flat=True)
    return tuple(used[:_MOST_TAGS])


def _opening(body: str) -> str:
    return " ".join(plain_text(body).split())[:_OPENING_CHARACTERS]


@dataclass(frozen=True, slots=True)
class _Names:
    """Which notes each key means."""

    bearers: Mapping[str, Collection[UUID]]

    @classmethod
    def of(cls, workspace_id: UUID, notes: Iterable[Note]) -> "_Names":
        """All names of these notes, in one query."""
        keys = {name_key(name) for note in notes for name in _names_of(note)}
        bearers: dict[str, set[UUID]] = {}
        found = NoteName.objects.filter(workspace_id=workspace_id, key__in=keys).values_list("key", "note_id")
        for key, note_id in found:
            bearers.setdefault(key, set()).add(note_id)
        return cls(bearers)

    def candidates(self, named: Iterable[tuple[Note, str]], alike: Iterable[Note]) -> tuple[tuple[str, UUID], ...]:
        """One name for each note, first for those that the text names."""
        best: dict[UUID, str] = {}
        for note, words in (*named, *((note, "") for note in alike)):
            if note.id not in best and (name := self._best(note, words)):
                best[note.id] = name
        return tuple((name, note_id) for note_id, name in best.items())[:_CANDIDATES]

    def _best(self, note: Note, words: str) -> str:
        """The name that stands in the text, else title or path: whichever means this note and no other."""
        spoken = [name for name in _names_of(note) if name_key(name) == name_key(words)]
        for name in (*spoken, note.title, _stem(note)):
            if can_be_target(name) and self.bearers.get(name_key(name)) == {note.id}:
                return name
        return ""


def _names_of(note: Note) -> tuple[str, ...]:
    path = _stem(note)
    return (note.title, *note.aliases, path.rpartition("/")[2], path)


def _stem(note: Note) -> str:
    return note.path.removesuffix(".md").removesuffix(".markdown")
