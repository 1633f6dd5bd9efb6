"""The index of a vault: built once, kept in one file, asked by many workers."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from kjxlkj.notes.markdown import plain_text
from librarian.offline import learning, retitle
from librarian.offline.documents import KINDS, Document, Proposal
from librarian.offline.duplicates import Duplicates
from librarian.offline.phrases import Phrases
from librarian.offline.regression import Regression
from librarian.offline.relink import Linker
from librarian.offline.retag import Tagger, TagTable
from librarian.offline.vault import Vault
from librarian.offline.vectors import Vectors, nearest

FORMAT = 1


class IndexUnreadableError(ValueError):
    """The file is no index, or one of another format: build it anew."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Ids of notes beside one."""

    alike: list[str]
    """Nearest first."""
    named: list[tuple[str, str]]
    """What its text names without a link, likeliest first, with the words as they stand there."""


@dataclass
class Index:
    vault: Vault
    vectors: Vectors
    phrases: Phrases
    table: TagTable
    sketches: Any
    link_model: Regression | None
    link_trust: float
    tag_model: Regression | None
    tag_trust: float

    def __post_init__(self) -> None:
        self._linker = Linker(self.vault, self.phrases, self.link_model, self.link_trust)
        self.tagger = Tagger(self.table, self.vectors.matrix, self.tag_model, self.tag_trust)
        self._duplicates = Duplicates(self.sketches, self.vectors.matrix)

    @classmethod
    def build(cls, documents: Iterable[Document], *, held_out: Collection[str] = ()) -> Index:
        """Reads each document once and keeps no body. `held_out`: ids whose own links and tags are not learned
        from, so that proposals for them can be measured."""
        with learning.Spool() as bodies, learning.Spool() as plain:
            reading = learning.Reading(bodies, plain).read(documents)
            vault = Vault.of(reading.documents, reading.sizes)
            vectors = Vectors.build(reading.counts)
            lessons, phrases = learning.resolve_links(vault, reading, held_out)
            links = learning.teach_links(vault, reading, phrases, lessons, vectors.matrix, held_out)
            tags = [() if d.id in held_out else d.tags for d in reading.documents]
            table = TagTable.of(tags, vault.folders)
            taught = learning.teach_tags(table, reading, vectors.matrix)
        sketches = np.stack(reading.sketches) if reading.sketches else np.zeros((0, 1), np.uint32)
        return cls(vault, vectors, phrases, table, sketches, *links, *taught)

    def propose(
        self,
        sources: Sequence[Document],
        *,
        kinds: Collection[str] = KINDS,
        taxonomy: Sequence[str] = (),
        taxonomy_closed: bool = False,
        min_confidence: float = 0.5,
    ) -> list[Proposal]:
        """Proposals for the sources as they are now, in their order. What is proposed for one does not depend
        on which others it is asked together with. Sources that the index does not know are welcome."""
        texts = [plain_text(source.body) for source in sources]
        queries = self.vectors.embed((s.title, t) for s, t in zip(sources, texts, strict=True))
        rows = [self.vault.row.get(source.id, -1) for source in sources]
        found: list[Proposal] = []
        if "retitle_note" in kinds:
            titles = (retitle.propose(source, self.vault.names) for source in sources)
            found += [p for p in titles if p and p.confidence >= min_confidence]
        if "retag_note" in kinds:
            allowed = frozenset(taxonomy) if taxonomy_closed else None
            found += self.tagger.propose(sources, texts, queries, rows, allowed, min_confidence, self.vault.titles)
        if "relink_note" in kinds:
            found += self._linker.propose(sources, queries, self.vectors.matrix, min_confidence)
        if "defer" in kinds:
            names = (self.vault.ids, self.vault.titles)
            found += self._duplicates.propose(sources, texts, queries, rows, names, min_confidence)
        order = {source.id: i for i, source in enumerate(sources)}
        return sorted(found, key=lambda p: (order[p.document_id], KINDS.index(p.kind)))

    def surroundings(self, sources: Sequence[Document], most: int) -> list[Surroundings]:
        """Of each source, which is never among them. `most`: of each sort."""
        queries = self.vectors.embed((source.title, plain_text(source.body)) for source in sources)
        rows = [self.vault.row.get(source.id, -1) for source in sources]
        near = nearest(queries, self.vectors.matrix, most, rows)
        named = self._linker.mentioned(sources, queries, self.vectors.matrix, most)
        ids = self.vault.ids
        return [
            Surroundings([ids[row] for row in alike], [(ids[row], words) for row, words in mentioned])
            for (alike, _), mentioned in zip(near, named, strict=True)
        ]

    def save(self, path: Path) -> None:
        """Written whole or not at all: readers see the old file or the new one."""
        arrays = {"json": _packed(self._plain_state()), "idf": self.vectors.idf, "sketches": self.sketches}
        arrays["rows"] = self.table.rows
        for name, matrix in (("vectors", self.vectors.matrix), ("carries", self.table.carries)):
            arrays |= {f"{name}.data": matrix.data, f"{name}.indices": matrix.indices}
            arrays |= {f"{name}.indptr": matrix.indptr, f"{name}.shape": np.array(matrix.shape)}
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    @staticmethod
    def load(path: Path) -> Index:
        """Kept for the process while the file stays the same."""
        stat = path.stat()
        return _load(str(path), stat.st_mtime_ns, stat.st_ino)

    def _plain_state(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "vault": asdict(self.vault),
            "vocabulary": list(self.vectors.vocabulary),
            "phrases": asdict(self.phrases),
            "tags": self.table.tags,
            "tag_folders": self.table.folders,
            "link_model": _plain(self.link_model),
            "link_trust": self.link_trust,
            "tag_model": _plain(self.tag_model),
            "tag_trust": self.tag_trust,
        }


@lru_cache(maxsize=4)
def _load(path: str, _changed: int, _inode: int) -> Index:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            state = json.loads(arrays["json"].tobytes())
            if state["format"] != FORMAT:
                raise IndexUnreadableError(f"{path} is an index of format {state['format']}, not {FORMAT}")
            return _restored(state, arrays)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise IndexUnreadableError(f"{path} is not a readable index: {error}") from error


def _restored(state: dict[str, Any], arrays: Any) -> Index:
    vocabulary = {term: i for i, term in enumerate(state["vocabulary"])}
    return Index(
        vault=Vault(**state["vault"]),
        vectors=Vectors(vocabulary, arrays["idf"], _matrix(arrays, "vectors")),
        phrases=Phrases(**state["phrases"]),
        table=TagTable(state["tags"], arrays["rows"], _matrix(arrays, "carries"), state["tag_folders"]),
        sketches=arrays["sketches"],
        link_model=_model(state["link_model"]),
        link_trust=state["link_trust"],
        tag_model=_model(state["tag_model"]),
        tag_trust=state["tag_trust"],
    )


def _matrix(arrays: Any, name: str) -> Any:
    parts = (arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
    return sp.csr_matrix(parts, shape=tuple(arrays[f"{name}.shape"]))


def _packed(state: dict[str, Any]) -> Any:
    return np.frombuffer(json.dumps(state, ensure_ascii=True).encode(), np.uint8)


def _plain(model: Regression | None) -> list[list[float]] | None:
    return None if model is None else [part.tolist() for part in (model.mean, model.scale, model.weights)]


def _model(parts: list[list[float]] | None) -> Regression | None:
    return None if parts is None else Regression(*(np.array(part, np.float64) for part in parts))
