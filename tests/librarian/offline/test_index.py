import os
import subprocess
import sys
from dataclasses import replace

import pytest

from librarian.offline.documents import KINDS
from librarian.offline.index import Index, IndexUnreadableError
from tests.librarian.offline.vaults import linked_vault, note, tagged_vault

VAULT = [*linked_vault(), *tagged_vault(), note("inbox/u.md", "# Berth plan\nQuay Pay sends invoice, payment, refund.")]
SOURCES = [replace(d, body=d.body.replace("[[", "").replace("]]", ""), tags=()) for d in VAULT[-80:]]

PROPOSE_ELSEWHERE = """
import sys
from pathlib import Path
from librarian.offline.index import Index
from tests.librarian.offline.test_index import SOURCES, VAULT
index = Index.load(Path(sys.argv[1])) if len(sys.argv) > 1 else Index.build(VAULT)
for proposal in index.propose(SOURCES, min_confidence=0.2):
    print(proposal)
"""


@pytest.fixture(scope="module")
def index():
    return Index.build(VAULT)


def test_all_kinds_come_in_the_order_of_the_sources(index):
    proposals = index.propose(SOURCES, min_confidence=0.2)
    assert {p.kind for p in proposals} == {"relink_note", "retag_note", "retitle_note"}
    order = [source.id for source in SOURCES]
    places = [(order.index(p.document_id), KINDS.index(p.kind)) for p in proposals]
    assert places == sorted(set(places))
    assert all(0.2 <= p.confidence <= 1 and p.reason.endswith((".", "?")) for p in proposals)


def test_what_is_proposed_does_not_depend_on_the_batch(index):
    together = index.propose(SOURCES, min_confidence=0.1)
    assert together == [p for source in SOURCES for p in index.propose([source], min_confidence=0.1)]
    backwards = index.propose(SOURCES[::-1], min_confidence=0.1)
    assert sorted(map(repr, backwards)) == sorted(map(repr, together))


def test_only_the_kinds_asked_for_and_only_what_is_sure_enough(index):
    assert {p.kind for p in index.propose(SOURCES, kinds=["retitle_note"])} == {"retitle_note"}
    assert index.propose(SOURCES, kinds=[]) == []
    assert all(p.confidence >= 0.9 for p in index.propose(SOURCES, min_confidence=0.9))


def test_a_file_gives_back_the_index(index, tmp_path):
    path = tmp_path / "indexes" / "one"
    index.save(path)
    assert Index.load(path).propose(SOURCES, min_confidence=0.2) == index.propose(SOURCES, min_confidence=0.2)
    assert [p.name for p in path.parent.iterdir()] == ["one"]


def test_loading_again_costs_nothing_until_the_file_changes(index, tmp_path):
    path = tmp_path / "index"
    index.save(path)
    first = Index.load(path)
    assert Index.load(path) is first
    Index.build(VAULT[:5]).save(path)
    assert len(Index.load(path).vault) == 5


@pytest.mark.parametrize("content", [b"", b"no index", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_index_is_refused_by_name(content, tmp_path):
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(IndexUnreadableError, match="broken"):
        Index.load(path)


def test_a_truncated_file_is_refused(index, tmp_path):
    path = tmp_path / "index"
    index.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IndexUnreadableError):
        Index.load(path)


def test_bodies_are_not_kept(tmp_path):
    path = tmp_path / "index"
    Index.build([note("a.md", "Once xylographical, never again: quixotry.")]).save(path)
    assert b"quixotry" not in path.read_bytes()


def test_the_vault_is_read_once():
    assert len(Index.build(document for document in VAULT).vault) == len(VAULT)


def test_processes_agree_whatever_their_hash_seed(index, tmp_path):
    path = tmp_path / "index"
    index.save(path)
    said = set()
    for seed, arguments in (("1", []), ("2", []), ("3", [str(path)])):
        done = subprocess.run(
            [sys.executable, "-c", PROPOSE_ELSEWHERE, *arguments],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        said.add(done.stdout)
    assert len(said) == 1
    assert said.pop().count("Proposal(") > 50


def test_the_text_as_it_is_now_counts(index):
    changed = replace(VAULT[20], body="We met again. Nothing but Tide Desk was spoken of, and then it was fixed.")
    [proposal] = index.propose([changed], kinds=["relink_note"])
    assert proposal.links == (("Tide Desk", "Tide Desk"),)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_tiny_vaults(count):
    index = Index.build([note(f"{i}.md", "Some words.") for i in range(count)])
    source = note("new.md", "# A plan\nSome words.", title="Untitled")
    assert [p.title for p in index.propose([source])] == ["A plan"]
    assert index.propose([]) == []


def test_notes_without_path_and_with_odd_text():
    odd = [replace(note("x.md", body), id=str(i), path="") for i, body in enumerate(["", "\n", "[[", "a\tb", "🦀"])]
    index = Index.build(odd)
    assert isinstance(index.propose(odd, min_confidence=0), list)
