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
        self._sketches, self._vectors = sketches, vectors
        hashes, notes = np.unique(sketches[sketches != _EMPTY], return_counts=True)
        # Phrases that stand in many notes come from a template and are no sign that two notes are one.
        self._template = hashes[notes > max(4, len(sketches) // 200)]

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
        for i, (others, _) in zip(asked, near, strict=True):
            pairs = [(self._alike(sketched[i], self._sketches[other]), -int(other)) for other in others]
            alike, negative = max((p for p in pairs if ids[-p[1]] < sources[i].id), default=(0.0, 0))
            confidence = round(min(0.97, alike), 4)
            if alike >= CLOSE and confidence >= minimum:
                reason = (
                    f"“{sources[i].title}” and “{titles[-negative]}” look like the same note (about "
                    f"{round(alike * 100)} % of their phrases agree): which one stays?"
                )
                proposals.append(Proposal("defer", sources[i].id, None, None, None, reason, confidence))
        return proposals

    def _alike(self, left: Any, right: Any) -> float:
        """Jaccard similarity of what is not template, estimated from the smallest hashes of the union."""
        # Beyond the end of a full sketch nothing is known of that note.
        limit = min(left[-1], right[-1])
        left, right = self._own(left[left <= limit]), self._own(right[right <= limit])
        if min(len(left), len(right)) < MIN_OWN:
            return 0.0
        return len(np.intersect1d(left, right)) / len(np.union1d(left, right))

    def _own(self, sketch: Any) -> Any:
        present = sketch[sketch != _EMPTY]
        return present[~np.isin(present, self._template)]
