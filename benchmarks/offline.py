"""Quality and speed (CPU seconds) of the offline librarian on real vaults: `python -m benchmarks.offline [corpus …]`.

Held-out: a fifth of the notes lose their links (or tags) before the index is built, and are then asked about; what
was taken away is what is counted as right. Corpora are the zips in KJXLKJ_CORPORA.
"""

from __future__ import annotations

import os
import random
import re
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from kjxlkj.notes.markdown import (
    insert_links,
    link_key,
    mask,
    name_key,
    only_links_differ,
    parse_links,
    plain_text,
)
from librarian.offline import Document
from librarian.offline.index import Index

CORPORA = Path(os.environ.get("KJXLKJ_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"))
FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?\n", re.S | re.M)
BATCH = 50


@dataclass(frozen=True)
class Corpus:
    name: str
    measures: str
    tag_key: str = "tags"
    within: str = ""
    without: tuple[str, ...] = ()


CORPUSES = (
    Corpus("flancia-garden", "links"),
    Corpus("windows-driver-docs", "links", tag_key="keywords"),
    Corpus("digitalgov", "tags", "topics", "content/", ("content/authors/", "content/topics/")),
    Corpus("18f-blog", "tags", within="content/"),
)


def read(corpus: Corpus) -> Iterator[Document]:
    yaml = YAML(typ="safe")
    with zipfile.ZipFile(CORPORA / f"{corpus.name}.zip") as archive:
        for path in sorted(archive.namelist()):
            if path.endswith(".md") and path.startswith(corpus.within) and not path.startswith(corpus.without):
                yield document(path, archive.read(path).decode("utf-8", "replace"), corpus.tag_key, yaml)


def document(path: str, text: str, tag_key: str, yaml: YAML) -> Document:
    block = FRONT_MATTER.match(text)
    fields: dict[str, object] = {}
    if block:
        text = text[block.end() :]
        try:
            fields = yaml.load(block[1]) or {}
        except (YAMLError, ValueError):
            fields = {}
        if not isinstance(fields, dict):
            fields = {}
    stem = path.rpartition("/")[2].removesuffix(".md")
    title = str(fields.get("title") or "").strip() or stem
    tags = tuple(sorted({name_key(tag) for tag in listed(fields.get(tag_key)) if tag.strip()}))
    return Document(path, path, title, text, tags, tuple(listed(fields.get("aliases"))))


def listed(value: object) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in re.split("[,;]", value) if part.strip()]
    return [str(part) for part in value if part] if isinstance(value, list) else []


def sample(documents: Sequence[Document], seed: int = 1) -> set[str]:
    ids = [d.id for d in documents]
    random.Random(seed).shuffle(ids)
    return set(ids[: len(ids) // 5])


def batches(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    for start in range(0, len(documents), BATCH):
        yield documents[start : start + BATCH]


def share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "  –  "


def links(documents: Sequence[Document], *, learn: bool = True) -> None:
    held_out = sample(documents)
    whole = Index.build(documents, held_out=held_out if learn else {d.id for d in documents})
    vault = whole.vault
    gold = {}
    blind = []
    for d in documents:
        if d.id in held_out:
            keys = (link_key(link, d.path) for link in parse_links(d.body) if link.kind in ("wikilink", "markdown"))
            gold[d.id] = {vault.names[key] for key in keys if key in vault.names} - {vault.row[d.id]}
            blind.append(replace(d, body=vault.unlinked(d.body, d.path)))
    total = sum(map(len, gold.values()))
    print(f"  links {'' if learn else '(nothing to learn from) '}of {len(blind)} notes: {total}")
    for minimum in (0.5, 0.8, 0.9):
        right = wrong = 0
        for batch in batches(blind):
            for p in whole.propose(batch, kinds={"relink_note"}, min_confidence=minimum):
                for _, target in p.links or ():
                    hit = vault.names[name_key(target)] in gold[p.document_id]
                    right, wrong = right + hit, wrong + (not hit)
        print(
            f"    ≥ {minimum}: {right + wrong:6} precision {share(right, right + wrong)} recall {share(right, total)}"
        )


def tags(documents: Sequence[Document]) -> None:
    held_out = sample([d for d in documents if d.tags and len(d.body) > 100])
    index = Index.build(documents, held_out=held_out)
    known = set(index.table.tags)
    blind = [replace(d, tags=()) for d in documents if d.id in held_out]
    gold = {d.id: set(d.tags) & known for d in documents if d.id in held_out}
    blind = [d for d in blind if gold[d.id]]
    total = sum(map(len, gold.values()))
    print(f"  tags of {len(blind)} notes: {total} ({len(known)} distinct)")
    first = {1: 0, 3: 0}
    for batch in batches(blind):
        texts = [plain_text(d.body) for d in batch]
        queries = index.vectors.embed((d.title, t) for d, t in zip(batch, texts, strict=True))
        plain = [(d.folder, d.title, t) for d, t in zip(batch, texts, strict=True)]
        chances = index.tagger.chances(index.tagger.features(plain, queries, [-1] * len(batch), blind=False)[0])
        for d, row in zip(batch, chances, strict=True):
            ranked = [index.table.tags[i] for i in np.argsort(-row, kind="stable")]
            for count in first:
                first[count] += sum(tag in gold[d.id] for tag in ranked[:count])
    print("    " + "  ".join(f"P@{n} {share(hits, n * len(blind))}" for n, hits in first.items()))
    for minimum in (0.5, 0.8, 0.9):
        right = wrong = 0
        for batch in batches(blind):
            for p in index.propose(batch, kinds={"retag_note"}, min_confidence=minimum):
                hits = sum(tag in gold[p.document_id] for tag in p.tags or ())
                right, wrong = right + hits, wrong + len(p.tags or ()) - hits
        print(
            f"    ≥ {minimum}: {right + wrong:6} precision {share(right, right + wrong)} recall {share(right, total)}"
        )


def speed(documents: Sequence[Document], folder: Path) -> None:
    size = sum(len(d.body) for d in documents)
    for reader in (parse_links, mask, plain_text):
        started = time.process_time()
        for d in documents:
            reader(d.body)
        spent = time.process_time() - started
        print(f"  {reader.__name__:12} {spent:6.2f} s  {size / spent / 1e6:5.1f} M characters/s")
    started = time.process_time()
    index = Index.build(documents)
    built = time.process_time() - started
    index.save(folder / "index")
    started = time.process_time()
    index = Index.load(folder / "index")
    loaded = time.process_time() - started
    kinds: dict[str, int] = {}
    slowest = total = 0.0
    for batch in batches(documents):
        started = time.process_time()
        proposals = index.propose(batch)
        spent = time.process_time() - started
        slowest, total = max(slowest, spent), total + spent
        bodies = {d.id: d.body for d in batch}
        for p in proposals:
            kinds[p.kind] = kinds.get(p.kind, 0) + 1
            if p.links:
                body = bodies[p.document_id]
                assert only_links_differ(body, insert_links(body, p.links)), p
    runs = -(-len(documents) // BATCH)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"  build {built:.1f} s  file {(folder / 'index').stat().st_size / 1e6:.1f} MB  load {loaded:.2f} s")
    print(
        f"  propose {total:.1f} s in {runs} runs: {total / runs * 1000:.0f} ms a run, slowest {slowest * 1000:.0f} ms"
    )
    print(f"  proposals {kinds}  peak memory {memory} MB")


def main(names: Sequence[str]) -> None:
    for corpus in CORPUSES:
        if names and corpus.name not in names:
            continue
        if not (CORPORA / f"{corpus.name}.zip").exists():
            print(f"{corpus.name}: not in {CORPORA}, skipped")
            continue
        documents = list(read(corpus))
        print(f"{corpus.name}: {len(documents)} notes")
        if corpus.measures == "links":
            links(documents)
            links(documents, learn=False)
        else:
            tags(documents)
        with tempfile.TemporaryDirectory() as folder:
            speed(documents, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
