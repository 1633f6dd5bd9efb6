"""Tags that a note lacks: what the most similar tagged notes carry, what its folder carries, what it names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from librarian.offline.documents import Document, Proposal, sentence
from librarian.offline.regression import Floats, Regression, log_odds, sigmoid
from librarian.offline.vectors import Matrix, nearest
from librarian.offline.words import terms

NEIGHBOURS = 20
CLOSEST = 5
MAX_TAGS = 2000
MAX_NEW = 4
MOST_COMMON_SHARE = 0.7
RARELY_TAGGED = 0.1
"""Share of tagged notes below which having no tags is the rule in a vault, and a tag is proposed with less
confidence."""
FULL_TRUST = 200
"""Tag assignments in the training notes from which on what was learned from them counts alone."""
TAGGED_DISCOUNT = 1.5
"""Log-odds taken off for a note that has tags: whoever chose them saw the note and left the others out."""
_SEPARATORS = re.compile(r"[-_/]+")

CLOSEST_SHARE, SHARE, CENTROID, CENTROID_RANK, FOLDER, PRIOR, NAMED, NAMED_PRIOR, TOP, SHARE_TOP = range(10)


@dataclass
class TagTable:
    """The tagged notes of the vault."""

    tags: list[str]
    rows: Any
    """int64: which notes of the vault are tagged, ascending."""
    carries: Matrix
    """CSR, tagged notes × tags, of ones."""
    folders: list[str]
    """Of the tagged notes."""

    def __post_init__(self) -> None:
        names = sorted(set(self.folders))
        self._folder = {name: i for i, name in enumerate(names)}
        where = [self._folder[folder] for folder in self.folders]
        count = len(where)
        of = sp.csr_matrix((np.ones(count, np.float32), (where, range(count))), shape=(len(names), count))
        self.by_folder = sp.csr_matrix(of @ self.carries)
        self.folder_sizes = np.bincount(where, minlength=len(names)).astype(np.float64)
        self.sizes = np.asarray(self.carries.sum(0), np.float64).ravel()
        self.number = {tag: i for i, tag in enumerate(self.tags)}
        self.position = {int(row): i for i, row in enumerate(self.rows)}
        self._by_first_term: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for i, tag in enumerate(self.tags):
            spelled = terms(_SEPARATORS.sub(" ", tag))
            if spelled:
                self._by_first_term[spelled[0]].append((i, f" {' '.join(spelled)} "))

    @classmethod
    def of(cls, tags: Sequence[Collection[str]], folders: Sequence[str]) -> TagTable:
        """`tags` and `folders` of every note. A tag that only one note carries, or nearly every tagged
        note, tells nothing about others."""
        sizes: defaultdict[str, int] = defaultdict(int)
        for labels in tags:
            for tag in set(labels):
                sizes[tag] += 1
        most = MOST_COMMON_SHARE * sum(1 for labels in tags if labels)
        kept = sorted(sorted((t for t, n in sizes.items() if 2 <= n <= most), key=lambda t: (-sizes[t], t))[:MAX_TAGS])
        number = {tag: i for i, tag in enumerate(kept)}
        rows = [row for row, labels in enumerate(tags) if any(tag in number for tag in labels)]
        pairs = [(i, number[t]) for i, row in enumerate(rows) for t in sorted(set(tags[row])) if t in number]
        where = np.array(pairs, np.int64).reshape(len(pairs), 2).T
        carries = sp.csr_matrix((np.ones(len(pairs), np.float32), where), shape=(len(rows), len(kept)))
        return cls(kept, np.array(rows, np.int64), carries, [folders[row] for row in rows])

    def folder_share(self, folder: str, own: Floats | None, base: Floats) -> Floats:
        """Smoothed share of a folder's tagged notes that carry each tag; `own` is left out of the count."""
        at = self._folder.get(folder)
        if at is None:
            return base
        counts = self.by_folder[at].toarray().ravel()
        size = self.folder_sizes[at]
        if own is not None:
            counts, size = counts - own, size - 1
        return np.asarray((counts + 2 * base) / (size + 2))

    def named(self, title: str, text: str) -> Floats:
        """3 for a tag named in the title, 1 to 2 in the text (more for often)."""
        result = np.zeros(len(self.tags))
        in_title, in_text = terms(title), terms(text)
        spelled_title, spelled_text = f" {' '.join(in_title)} ", f" {' '.join(in_text)} "
        for term in set(in_title) | set(in_text):
            for tag, spelled in self._by_first_term.get(term, ()):
                times = spelled_text.count(spelled)
                if spelled in spelled_title:
                    result[tag] = 3
                elif times:
                    result[tag] = 1 + min(1, np.log1p(times) / 2)
        return result


class Tagger:
    def __init__(self, table: TagTable, vectors: Matrix, model: Regression | None, trust: float) -> None:
        self.table = table
        self.model, self._trust = model, trust
        tagged = max(len(table.rows), 1) / max(vectors.shape[0], 1)
        self._shift = min(0.0, float(np.log(tagged / RARELY_TAGGED)))
        self._tagged = sp.csr_matrix(vectors[table.rows]) if len(table.rows) else vectors[:0]
        self._centroids = sp.csr_matrix(table.carries.T @ self._tagged)
        self._centroid_squares = np.asarray(self._centroids.multiply(self._centroids).sum(1), np.float64).ravel()

    def features(
        self, sources: Sequence[tuple[str, str, str]], queries: Matrix, at: Sequence[int], *, blind: bool
    ) -> tuple[Floats, list[tuple[Any, Any]]]:
        """Features (sources × tags × 10) and the nearest tagged notes.

        `sources`: (folder, title, plain text); `at`: each source's own position among the tagged notes, or -1.
        A source is never its own neighbour; `blind` leaves its tags out of every other count too, for training.
        """
        table = self.table
        near = nearest(queries, self._tagged, NEIGHBOURS, at)
        own = [table.carries[i].toarray().ravel() if blind and i >= 0 else None for i in at]
        likeness = np.asarray((queries @ self._centroids.T).toarray(), np.float64)
        result = np.empty((len(sources), len(table.tags), 10))
        for i, (folder, title, text) in enumerate(sources):
            mine = own[i]
            others, sizes = len(table.rows), table.sizes
            if mine is not None:
                others, sizes = others - 1, sizes - mine
            base = (sizes + 0.1) / (others + 1)
            share, closest, top = self._shares(near[i], NEIGHBOURS), self._shares(near[i], CLOSEST), _top(near[i])
            centroid = self._centroid(likeness[i], queries[i], mine)
            named = table.named(title, text)
            f = result[i].T
            f[CLOSEST_SHARE], f[SHARE] = log_odds(closest), log_odds(share)
            f[CENTROID] = centroid
            f[CENTROID_RANK] = (centroid - centroid.mean()) / (centroid.std() + 1e-6)
            f[FOLDER], f[PRIOR] = log_odds(table.folder_share(folder, mine, base)), log_odds(base)
            f[NAMED], f[NAMED_PRIOR] = named, named * f[PRIOR]
            f[TOP], f[SHARE_TOP] = top, f[SHARE] * top
        return result, near

    def _shares(self, near: tuple[Any, Any], count: int) -> Floats:
        rows, weights = near[0][:count], near[1][:count] ** 2
        if not len(rows) or not weights.sum():
            return np.zeros(len(self.table.tags))
        return np.asarray((self.table.carries[rows].toarray() * weights[:, None]).sum(0) / weights.sum())

    def _centroid(self, dots: Floats, query: Matrix, own: Floats | None) -> Floats:
        """Cosine with the sum of the notes that carry a tag, the note itself taken out of that sum."""
        squares = self._centroid_squares
        if own is not None and own.any():
            square = float(query.multiply(query).sum())
            squares = np.where(own > 0, squares - 2 * dots + square, squares)
            dots = np.where(own > 0, dots - square, dots)
        return np.where(squares > 1e-6, dots / np.sqrt(np.maximum(squares, 1e-6)), 0)

    def chances(self, features: Floats) -> Floats:
        """Probability of each tag (sources × tags); 0 where nothing speaks for it."""
        result = np.zeros(features.shape[:2])
        likely = candidates(features)
        rows = features[likely]
        logits = prior(rows)
        if self.model is not None:
            logits = self._trust * self.model.logits(rows) + (1 - self._trust) * logits
        result[likely] = sigmoid(logits + self._shift)
        return result

    def propose(
        self,
        sources: Sequence[Document],
        texts: Sequence[str],
        queries: Matrix,
        rows: Sequence[int],
        allowed: Collection[str] | None,
        minimum: float,
        titles: Sequence[str],
    ) -> list[Proposal]:
        """`rows`: each source's row in the vault or -1; `allowed`: the only tags that may be proposed, if not
        None; `titles` of the vault, for the reasons."""
        if not self.table.tags:
            return []
        at = [self.table.position.get(row, -1) for row in rows]
        plain = [(s.folder, s.title, text) for s, text in zip(sources, texts, strict=True)]
        features, near = self.features(plain, queries, at, blind=False)
        chances = self.chances(features)
        proposals = []
        for i, source in enumerate(sources):
            new = self._new_tags(source, chances[i], allowed, minimum)
            if new:
                reasons = [self._reason(source, tag, features[i, tag], near[i], titles) for _, tag in new]
                tags = tuple(sorted({*source.tags, *(self.table.tags[tag] for _, tag in new)}))
                reason = sentence(reasons)
                chance = round(min(chance for chance, _ in new), 4)
                proposals.append(Proposal("retag_note", source.id, None, tags, None, reason, chance))
        return proposals

    def _new_tags(
        self, source: Document, chances: Floats, allowed: Collection[str] | None, minimum: float
    ) -> list[tuple[float, int]]:
        if source.tags:
            chances = np.where(chances > 0, sigmoid(log_odds(chances) - TAGGED_DISCOUNT), 0)
        found = [
            (float(chances[i]), int(i))
            for i in np.flatnonzero(chances >= max(minimum, 1e-9))
            if self.table.tags[i] not in source.tags and (allowed is None or self.table.tags[i] in allowed)
        ]
        return sorted(found, key=lambda pair: (-pair[0], pair[1]))[:MAX_NEW]

    def _reason(
        self, source: Document, tag: int, features: Floats, near: tuple[Any, Any], titles: Sequence[str]
    ) -> str:
        name = self.table.tags[tag]
        closest = near[0][:6]
        carrying = [p for p in closest if self.table.carries[p, tag]]
        parts = []
        if carrying:
            examples = ", ".join(titles[self.table.rows[p]] for p in carrying[:3])
            verb = "carries" if len(carrying) == 1 else "carry"
            many = f"{len(carrying)} of the {len(closest)} most similar tagged notes"
            parts.append(f"{many} {verb} `{name}`: {examples}")
        if features[NAMED] >= 3:
            parts.append(f"the title names `{name}`")
        elif features[NAMED] > 0:
            parts.append(f"the text names `{name}`")
        at = self.table.folder_share(source.folder, None, np.zeros(len(self.table.tags)))[tag]
        if source.folder and (at >= 0.4 or not parts):
            parts.append(f"notes in {source.folder}/ often carry `{name}`")
        return ", and ".join(parts) or f"its words resemble those of the notes tagged `{name}`"


def _top(near: tuple[Any, Any]) -> float:
    return float(near[1][0]) if len(near[1]) else 0.0


def candidates(features: Floats) -> Any:
    """Which (note, tag) pairs have any evidence; the others are neither learned from nor proposed."""
    return (features[..., SHARE] > -6) | (features[..., NAMED] > 0) | (features[..., FOLDER] > -3)


def prior(features: Floats) -> Floats:
    """Log-odds where the vault has few tags to learn from: most of the closest tagged notes must agree, and be
    really alike. Set by judgement; benchmarks/offline.py measures it."""
    f = features.T
    closest, share = sigmoid(f[CLOSEST_SHARE]), sigmoid(f[SHARE])
    unlike = 2.0 * np.clip(np.log(np.maximum(f[TOP], 1e-3) / 0.15), -3, 0)
    return np.asarray(-2.6 + 3.2 * closest + 1.6 * share + 0.8 * f[NAMED] + unlike * (f[NAMED] < 1))
