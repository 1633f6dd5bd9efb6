"""Building an index: one reading of the vault, then what its own links and tags teach."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import IO

import numpy as np

from kjxlkj.notes.markdown import link_key, mask, parse_links, plain_text
from librarian.offline import relink, retag
from librarian.offline.documents import Document
from librarian.offline.duplicates import Sketcher
from librarian.offline.phrases import Mention, Phrases
from librarian.offline.regression import Regression
from librarian.offline.relink import Author, Candidate, Linker
from librarian.offline.retag import Tagger, TagTable
from librarian.offline.vault import Vault
from librarian.offline.vectors import Counts, Matrix
from librarian.offline.words import phrase

LESSONS = 5000
"""Notes that are learned from at most, spread evenly over the vault."""
MIN_POSITIVES = 20
"""Below, nothing is learned and the fixed prior alone decides."""


class Spool:
    """Texts on disk, so that memory does not hold the vault."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._ends = [0]

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, text: str) -> None:
        self._ends.append(self._ends[-1] + self._file.write(text.encode("utf-8", "surrogatepass")))

    def __getitem__(self, number: int) -> str:
        self._file.seek(self._ends[number])
        raw = self._file.read(self._ends[number + 1] - self._ends[number])
        return raw.decode("utf-8", "surrogatepass")


@dataclass
class Reading:
    """What one pass over the vault leaves behind."""

    bodies: Spool
    plain: Spool
    counts: Counts = field(default_factory=Counts.growing)
    documents: list[Document] = field(default_factory=list)
    """Without bodies."""
    sizes: list[int] = field(default_factory=list)
    links: list[list[tuple[str, str]]] = field(default_factory=list)
    """(key, phrase shown) of the links of each note."""
    sketches: list[np.ndarray] = field(default_factory=list)

    def read(self, documents: Iterable[Document]) -> Reading:
        sketcher = Sketcher()
        for document in documents:
            plain = plain_text(document.body)
            self.bodies.add(document.body)
            self.plain.add(plain)
            self.counts.add(document.title, plain)
            self.sketches.append(sketcher.sketch(plain))
            self.sizes.append(len(document.body))
            self.links.append(_chosen(document))
            self.documents.append(replace(document, body=""))
        return self


def _chosen(document: Document) -> list[tuple[str, str]]:
    """(key, phrase shown) of each link; embeds and images are not references in running text."""
    return [
        (link_key(link, document.path), phrase(link.text or link.target.rpartition("/")[2]))
        for link in parse_links(document.body)
        if link.kind in ("wikilink", "markdown")
    ]


@dataclass(frozen=True)
class Lesson:
    """The links of one note, resolved."""

    targets: frozenset[int]
    phrases: frozenset[str]


def resolve_links(vault: Vault, reading: Reading, held_out: Collection[str]) -> tuple[list[Lesson], Phrases]:
    anchors: Counter[tuple[str, int]] = Counter()
    lessons = []
    for row, links in enumerate(reading.links):
        known = vault.ids[row] not in held_out
        found = {(vault.names[key], shown) for key, shown in links if key in vault.names} if known else set()
        found = {(target, shown) for target, shown in found if target != row}
        anchors.update((shown, target) for target, shown in found)
        lesson = Lesson(frozenset(t for t, _ in found), frozenset(shown for _, shown in found))
        lessons.append(lesson)
        for target in lesson.targets:
            vault.linkers[target].append(row)
    return lessons, Phrases.of(vault, anchors)


def spread(rows: Sequence[int], limit: int) -> list[int]:
    if len(rows) <= limit:
        return list(rows)
    return [rows[int(i)] for i in np.linspace(0, len(rows) - 1, limit)]


def teach_links(
    vault: Vault,
    reading: Reading,
    phrases: Phrases,
    lessons: Sequence[Lesson],
    vectors: Matrix,
    held_out: Collection[str],
) -> tuple[Regression | None, float]:
    """The model and how far it is trusted. Counts, in `phrases`, in how many notes each phrase stands."""
    vault.unread = [row for row in range(len(vault)) if vault.ids[row] in held_out]
    known = [row for row in range(len(vault)) if vault.ids[row] not in held_out]
    taught = set(spread(known, LESSONS))
    mentioned: dict[int, tuple[str, list[Mention]]] = {}
    for row in known:
        # Links taken away: what the author had before them when choosing what to link.
        masked = mask(vault.unlinked(reading.bodies[row], reading.documents[row].path))
        mentions = phrases.mentions(masked)
        for mention in mentions:
            phrases.seen[mention.phrase] += 1
        if row in taught:
            mentioned[row] = masked, mentions
    linker = Linker(vault, phrases, None, 0)
    found: list[Candidate] = []
    authors: list[int] = []
    labels: list[bool] = []
    for row, (masked, mentions) in mentioned.items():
        lesson = lessons[row]
        length = relink.free_length(masked)
        author = Author(row, vault.folders[row], length, lesson.targets, lesson.phrases, counted=True)
        candidates = linker.candidates(author, masked, mentions)
        found += candidates
        authors += [row] * len(candidates)
        labels += [c.target in lesson.targets for c in candidates]
    positives = sum(labels)
    if positives < MIN_POSITIVES or positives == len(labels):
        return None, 0.0
    table = relink.feature_table(found, authors, vectors, vectors)
    return Regression.fit(table, np.array(labels, np.float64)), min(1.0, positives / relink.FULL_TRUST)


def teach_tags(table: TagTable, reading: Reading, vectors: Matrix) -> tuple[Regression | None, float]:
    """Each tagged note is judged as if it had no tags and the others were the vault."""
    tagger = Tagger(table, vectors, None, 0)
    taught = spread(range(len(table.rows)), LESSONS)
    rows, labels = [], []
    step = max(1, 500_000 // max(1, len(table.tags)) // 10)
    for start in range(0, len(taught), step):
        at = taught[start : start + step]
        notes = [int(table.rows[i]) for i in at]
        sources = [
            (table.folders[i], reading.documents[n].title, reading.plain[n]) for i, n in zip(at, notes, strict=True)
        ]
        features, _ = tagger.features(sources, vectors[notes], at, blind=True)
        likely = retag.candidates(features)
        rows.append(features[likely])
        labels.append(table.carries[at].toarray()[likely])
    if not rows:
        return None, 0.0
    known = np.concatenate(labels).astype(np.float64)
    positives = float(known.sum())
    if positives < MIN_POSITIVES or positives == len(known):
        return None, 0.0
    return Regression.fit(np.concatenate(rows), known), min(1.0, positives / retag.FULL_TRUST)
