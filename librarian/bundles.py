"""What goes into one request to a model: notes as they are sent, and what is told beside them. Plain values."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from uuid import UUID

from kjxlkj.notes.models import Note


@dataclass(frozen=True, slots=True)
class Related:
    """Another note of the workspace, of which a model is told the name, the tags and the first words."""

    note: Note
    opening: str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A source as it is sent. `is_cut`: `body` is not the whole text, so nobody can rewrite it from that."""

    note: Note
    body: str
    is_cut: bool = False
    related: tuple[Related, ...] = ()
    link_candidates: tuple[tuple[str, UUID], ...] = ()
    """Names by which links would find other notes, best first, with those notes' ids."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The notes of one request. `tags`: those of the workspace that are worth reusing, nearest and most used first."""

    excerpts: tuple[Excerpt, ...]
    tags: tuple[str, ...] = ()
    mentioned: tuple[Note, ...] = ()
    """The notes besides the sources that the request says anything of: `related` and `link_candidates`."""

    @property
    def sources(self) -> list[Note]:
        return [excerpt.note for excerpt in self.excerpts]

    def without(self, note_ids: Collection[UUID]) -> "Bundle":
        """The same without any trace of these notes, which may not be sent any more."""
        excerpts = tuple(
            replace(
                excerpt,
                related=tuple(each for each in excerpt.related if each.note.id not in note_ids),
                link_candidates=tuple(each for each in excerpt.link_candidates if each[1] not in note_ids),
            )
            for excerpt in self.excerpts
            if excerpt.note.id not in note_ids
        )
        return replace(
            self, excerpts=excerpts, mentioned=tuple(note for note in self.mentioned if note.id not in note_ids)
        )
