"""TF-IDF vectors of notes, on numpy and scipy alone."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from librarian.offline.words import terms_of, words

TITLE_WEIGHT = 3
TERMS_PER_NOTE = 200
MOST_COMMON_SHARE = 0.3

Matrix = Any  # scipy ships no types


class _Terms(dict[str, tuple[int, ...]]):
    """Term numbers of a word as it stands, each word analysed once."""

    def __init__(self, vocabulary: dict[str, int], *, grow: bool) -> None:
        super().__init__()
        self.vocabulary, self._grow = vocabulary, grow

    def __missing__(self, word: str) -> tuple[int, ...]:
        vocabulary = self.vocabulary
        if self._grow:
            numbers = tuple(vocabulary.setdefault(term, len(vocabulary)) for term in terms_of(word))
        else:
            numbers = tuple(vocabulary[term] for term in terms_of(word) if term in vocabulary)
        self[word] = numbers
        return numbers


@dataclass
class Counts:
    """Term counts of notes, gathered one note at a time."""

    terms: _Terms
    starts: array[int] = field(default_factory=lambda: array("q", [0]))
    columns: array[int] = field(default_factory=lambda: array("i"))
    values: array[int] = field(default_factory=lambda: array("i"))

    @classmethod
    def growing(cls) -> Counts:
        return cls(_Terms({}, grow=True))

    def add(self, title: str, text: str) -> None:
        terms = self.terms
        counts = Counter([number for word in words(text) for number in terms[word]])
        for word in words(title):
            for number in terms[word]:
                counts[number] += TITLE_WEIGHT
        self.columns.extend(counts.keys())
        self.values.extend(counts.values())
        self.starts.append(len(self.columns))

    def matrix(self) -> Matrix:
        shape = (len(self.starts) - 1, len(self.terms.vocabulary))
        values = np.frombuffer(self.values, np.int32) if self.values else np.zeros(0, np.int32)
        columns = np.frombuffer(self.columns, np.int32) if self.columns else np.zeros(0, np.int32)
        starts = np.frombuffer(self.starts, np.int64)
        counts = sp.csr_matrix((values.astype(np.float32), columns.copy(), starts.copy()), shape=shape)
        counts.sort_indices()
        return counts


@dataclass
class Vectors:
    vocabulary: dict[str, int]
    idf: Any
    """float32, one a term."""
    matrix: Matrix
    """CSR, one row of length 1 (or 0) a note."""

    @classmethod
    def build(cls, counts: Counts) -> Vectors:
        """Terms of one note alone, and of more than MOST_COMMON_SHARE of them, tell nothing about likeness."""
        table = counts.matrix()
        notes = table.shape[0]
        frequency = np.bincount(table.indices, minlength=table.shape[1])
        kept = np.flatnonzero((frequency >= 2) & (frequency <= max(MOST_COMMON_SHARE * notes, 5)))
        terms = list(counts.terms.vocabulary)
        vocabulary = {terms[old]: new for new, old in enumerate(kept)}
        idf = (np.log((1 + notes) / (1 + frequency[kept])) + 1).astype(np.float32)
        return cls(vocabulary, idf, _weighed(table[:, kept], idf))

    def embed(self, texts: Iterable[tuple[str, str]]) -> Matrix:
        """Rows for (title, text) pairs, each independent of the others."""
        counts = Counts(_Terms(self.vocabulary, grow=False))
        for title, text in texts:
            counts.add(title, text)
        return _weighed(counts.matrix(), self.idf)


def _weighed(counts: Matrix, idf: Any) -> Matrix:
    rows = sp.csr_matrix(counts, dtype=np.float32)
    rows.sort_indices()
    rows.data = ((1 + np.log(rows.data)) * idf[rows.indices]).astype(np.float32)
    for start, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        if end - start > TERMS_PER_NOTE:
            data = rows.data[start:end]
            data[data < np.partition(data, -TERMS_PER_NOTE)[-TERMS_PER_NOTE]] = 0
    rows.eliminate_zeros()
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    lengths[lengths == 0] = 1
    return sp.csr_matrix(sp.diags((1 / lengths).astype(np.float32)) @ rows)


def pair_similarity(left: Matrix, left_rows: Sequence[int], right: Matrix, right_rows: Sequence[int]) -> Any:
    """Cosine of left[left_rows[i]] and right[right_rows[i]], for each i."""
    result = np.zeros(len(left_rows), np.float64)
    for start in range(0, len(left_rows), 20_000):
        part = slice(start, start + 20_000)
        product = left[left_rows[part]].multiply(right[right_rows[part]])
        result[part] = np.asarray(product.sum(1)).ravel()
    return np.clip(result, 0, 1)


def nearest(queries: Matrix, base: Matrix, count: int, skip: Sequence[int]) -> list[tuple[Any, Any]]:
    """For each query the `count` most similar rows of `base`, best first, and their cosines.

    `skip[i]` is the row that is query i itself, or -1. Ties go to the lower row, so batches do not matter.
    """
    found = []
    for start in range(0, queries.shape[0], 256):
        table = sp.csr_matrix(queries[start : start + 256] @ base.T)
        for i in range(table.shape[0]):
            part = slice(table.indptr[i], table.indptr[i + 1])
            rows, cosines = table.indices[part], table.data[part]
            other = rows != skip[start + i]
            rows, cosines = rows[other], cosines[other]
            order = np.lexsort((rows, -cosines))[:count]
            found.append((rows[order], cosines[order].astype(np.float64)))
    return found
