"""What goes into the offline librarian and what comes out."""

from collections.abc import Iterable
from dataclasses import dataclass

KINDS = ("retitle_note", "retag_note", "relink_note", "defer")


def sentence(reasons: Iterable[str]) -> str:
    text = "; ".join(reasons)
    return f"{text[:1].upper()}{text[1:]}."


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    path: str
    title: str
    body: str
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def stem(self) -> str:
        return self.path.rpartition("/")[2].removesuffix(".md").removesuffix(".markdown")


@dataclass(frozen=True, slots=True)
class Proposal:
    kind: str
    document_id: str
    title: str | None
    tags: tuple[str, ...] | None
    """The full new set."""
    links: tuple[tuple[str, str], ...] | None
    """(text as it stands in the note, target), in an order in which they can be inserted."""
    reason: str
    confidence: float
