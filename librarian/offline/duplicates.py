"""Notes that are nearly the same, told apart from notes that only share a template."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from librarian.offline.documents import Document, Proposal
from librarian.offline.vectors import Matrix, nearest
from librarian.offline.words import CJK, words

MIN_TOKENS = 40
SKETCH = 128
"""Hashes kept of a note: the smallest of its phrases of three words (bottom-k sketch)."""
MIN_OWN = 16
"""Phrases that must be left after those of templates are set aside."""
CLOSE = 0.6
"""Jaccard similarity from which on two notes are asked about."""
MOST_NOTES = 6
"""A phrase that stands in more notes comes from a template, and is no sign that two notes are one."""
MIN_COSINE = 0.5
LOOKED_AT = 5
"""Neighbours by TF-IDF that are compared phrase by phrase."""
_EMPTY = np.uint32(0xFFFFFFFF)


class Sketcher:
    """Sketches notes; each word is hashed once."""

    def __init__(self) -> None:
        self._hash: dict[str, int] = {}

    def sketch(self, text: str) -> Any:
        """uint32[SKETCH], ascending, padded with the largest value; all padding below MIN_TOKENS."""
        result = np.full(SKETCH, _EMPTY, np.uint32)
        tokens = [t for word in words(text) for t in (word if CJK.match(word) else (word.lower(),))]
        if len(tokens) >= MIN_TOKENS:
            known = self._hash
            for token in tokens:
                if token not in known:
                    known[token] = zlib.crc32(token.encode())
            codes = np.array([known[token] for token in tokens], np.uint64)
            mixed = codes[:-2] * np.uint64(0x9E3779B97F4A7C15) + codes[1:-1] * np.uint64(0xC2B2AE3D27D4EB4F)
            mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) + codes[2:]
            mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
            smallest = np.unique((mixed >> np.uint64(32)).astype(np.uint32))[:SKETCH]
            result[: len(smallest)] = smallest
        return result


class Duplicates:
    def __init__(self, sketches: Any, vectors: Matrix) -> None:
        self._vectors = vectors
        self._reach = sketches[:, -1]
        """Beyond the end of a full sketch nothing is known of that note."""
        hashes, notes = np.unique(sketches[sketches != _EMPTY], return_counts=True)
        self._template = hashes[notes > MOST_NOTES]
        self._own = np.where(np.isin(sketches, self._template), _EMPTY, sketches)

    def propose(
        self,
        sources: Sequence[Document],
        texts: Sequence[str],
        queries: Matrix,
        rows: Sequence[int],
        names: tuple[Sequence[str], Sequence[str]],
        minimum: float,
    ) -> list[Proposal]:
        """`names`: ids and titles of the vault. A pair is asked about once: at the note with the larger id."""
        sketcher = Sketcher()
        sketched = [sketcher.sketch(text) for text in texts]
        ids, titles = names
        proposals = []
        asked = [i for i, sketch in enumerate(sketched) if sketch[0] != _EMPTY]
        near = nearest(queries[asked], self._vectors, LOOKED_AT, [rows[i] for i in asked])
        for i, (others, cosines) in zip(asked, near, strict=True):
            other, alike = self._likest(sketched[i], others[cosines >= MIN_COSINE])
            confidence = round(min(0.97, alike), 4)
            if alike >= CLOSE and confidence >= minimum and ids[other] < sources[i].id:
                reason = (
                    f"“{sources[i].title}” and “{titles[other]}” look like the same note (about "
                    f"{round(alike * 100)} % of their phrases agree): which one stays?"
                )
                proposals.append(Proposal("defer", sources[i].id, None, None, None, reason, confidence))
        return proposals

    def _likest(self, sketch: Any, others: Any) -> tuple[int, float]:
        """The likest of the notes `others`, and how like: the Jaccard similarity of what is not template."""
        own = sketch[(sketch != _EMPTY) & ~np.isin(sketch, self._template)]
        best = (0, 0.0)
        for other in others:
            limit = min(sketch[-1], self._reach[other])
            left, right = own[own <= limit], self._own[other]
            right = right[(right <= limit) & (right != _EMPTY)]
            if min(len(left), len(right)) >= MIN_OWN:
                shared = len(np.intersect1d(left, right, assume_unique=True))
                alike = shared / (len(left) + len(right) - shared)
                if alike > best[1]:
                    best = (int(other), alike)
        return best
