"""What the index remembers of every note: who it is, by which name it is reached, who links to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kjxlkj.notes.markdown import can_be_target, link_key, name_key, note_keys, parse_links
from librarian.offline.documents import Document


@dataclass
class Vault:
    ids: list[str]
    titles: list[str]
    stems: list[str]
    folders: list[str]
    aliases: list[list[str]]
    targets: list[str]
    """A name by which `[[name]]` reaches this very note; empty if there is none."""
    names: dict[str, int]
    """Key → the row that a link with this key reaches."""
    sizes: list[int]
    """Characters of the body."""
    linkers: list[list[int]]
    """Rows of the notes that link to this one."""
    unread: list[int] = field(default_factory=list)
    """Rows of the notes that the statistics of phrases leave out."""

    def __post_init__(self) -> None:
        self.row = {id_: row for row, id_ in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, documents: Sequence[Document], sizes: list[int]) -> Vault:
        """`documents` without their bodies; links are filled in by the builder."""
        names = _resolution(documents)
        return cls(
            ids=[d.id for d in documents],
            titles=[d.title for d in documents],
            stems=[d.stem for d in documents],
            folders=[d.folder for d in documents],
            aliases=[list(d.aliases) for d in documents],
            targets=[_target(d, row, names) for row, d in enumerate(documents)],
            names=names,
            sizes=sizes,
            linkers=[[] for _ in documents],
        )

    def linked_from(self, document: Document) -> set[int]:
        keys = (link_key(link, document.path) for link in parse_links(document.body))
        return {self.names[key] for key in keys if key in self.names}

    def unlinked(self, body: str, path: str) -> str:
        """The body as if its links to known notes had not been made; links that lead nowhere stay."""
        pieces, position = [], 0
        for link in parse_links(body):
            reaches = link.kind in ("wikilink", "markdown") and link_key(link, path) in self.names
            if reaches and link.start >= position:
                pieces += [body[position : link.start], link.text or link.target]
                position = link.end
        return "".join(pieces) + body[position:]


def _resolution(documents: Sequence[Document]) -> dict[str, int]:
    """Which note a key means: best rank, then the shortest path, then the oldest note, as in the database."""
    best: dict[str, tuple[int, int, str]] = {}
    names: dict[str, int] = {}
    for row, document in enumerate(documents):
        for key, rank in note_keys(document.path, document.title, document.aliases):
            claim = (rank, len(document.path), document.id)
            if key not in best or claim < best[key]:
                best[key], names[key] = claim, row
    return names


def _target(document: Document, row: int, names: dict[str, int]) -> str:
    path = document.path.removesuffix(".md").removesuffix(".markdown")
    for name in (document.title, document.stem, path):
        if can_be_target(name) and names.get(name_key(name)) == row:
            return name
    return ""
