import random
from dataclasses import replace

import numpy as np
import pytest

from kjxlkj.notes.markdown import plain_text
from librarian.offline.index import Index
from librarian.offline.retag import Tagger, TagTable
from tests.librarian.offline.vaults import TOPICS, note, prose, tagged_vault


@pytest.fixture(scope="module")
def index():
    return Index.build(tagged_vault())


def tags(index, source, **options):
    options.setdefault("min_confidence", 0.5)
    return [p.tags for p in index.propose([source], kinds={"retag_note"}, **options)]


@pytest.mark.parametrize("topic", TOPICS)
def test_an_untagged_note_gets_the_tag_of_its_likes(index, topic):
    source = note("inbox/new.md", prose(random.Random(99), TOPICS[topic]))
    [proposal] = index.propose([source], kinds={"retag_note"})
    assert proposal.tags == (topic,)
    assert f"of the 6 most similar tagged notes carry `{topic}`: {topic} " in proposal.reason
    assert 0.5 <= proposal.confidence < 1


def test_text_unlike_any_other_gets_none(index):
    assert tags(index, note("inbox/new.md", "Tulips bloom quietly beside seven old windmills.")) == []
    assert tags(index, note("inbox/empty.md", "")) == []


def test_the_whole_new_set_is_proposed_and_nothing_is_taken_away(index):
    source = note("inbox/new.md", prose(random.Random(5), TOPICS["billing"]), "urgent")
    assert tags(index, source, min_confidence=0.2) == [("billing", "urgent")]


def test_a_note_that_has_the_tag_is_left_alone(index):
    source = note("inbox/new.md", prose(random.Random(5), TOPICS["billing"]), "billing")
    assert tags(index, source) == []


def test_whoever_has_chosen_tags_is_believed_more_than_one_who_has_none(index):
    source = note("inbox/new.md", prose(random.Random(5), TOPICS["billing"]))
    [bare], [chosen] = (
        index.propose([s], kinds={"retag_note"}, min_confidence=0.3) for s in (source, replace(source, tags=("x",)))
    )
    assert chosen.confidence < bare.confidence


def test_a_closed_taxonomy_is_obeyed(index):
    source = note("inbox/new.md", prose(random.Random(5), TOPICS["billing"]))
    assert tags(index, source, taxonomy=["mobile"], taxonomy_closed=True) == []
    assert tags(index, source, taxonomy=["billing"], taxonomy_closed=True) == [("billing",)]
    assert tags(index, source, taxonomy=["mobile"]) == [("billing",)]


def test_a_vault_with_one_tag_or_none_teaches_nothing():
    bare = [replace(d, tags=()) for d in tagged_vault()]
    for vault in (bare, [replace(d, tags=("all",)) for d in bare]):
        assert Index.build(vault).propose(bare, kinds={"retag_note"}, min_confidence=0.01) == []


def test_in_a_vault_where_hardly_anything_is_tagged_being_untagged_is_no_fault():
    chance = random.Random(1)
    crowd = [note(f"crowd/{i}.md", prose(chance, TOPICS["billing"])) for i in range(400)]
    few = [note(f"few/{i}.md", prose(chance, TOPICS["billing"]), "billing") for i in range(4)]
    few += [note(f"few/x{i}.md", prose(chance, TOPICS["mobile"]), "mobile") for i in range(4)]
    source = note("inbox/new.md", prose(random.Random(5), TOPICS["billing"]))
    assert tags(Index.build([*crowd, *few]), source) == []
    assert tags(Index.build(few), source, min_confidence=0.3) == [("billing",)]


def test_a_note_is_judged_without_itself():
    """The features that teach equal those of a vault from which the note is missing."""
    vault = tagged_vault(8)
    full = Index.build(vault)
    vectors = full.vectors.matrix
    for row in (0, 9, 31):
        left = [i for i in range(len(vault)) if i != row]
        without = Tagger(
            TagTable.of([vault[i].tags for i in left], [vault[i].folder for i in left]), vectors[left], None, 0
        )
        source = [(vault[row].folder, vault[row].title, plain_text(vault[row].body))]
        blind, _ = full.tagger.features(source, vectors[[row]], [row], blind=True)
        absent, _ = without.features(source, vectors[[row]], [-1], blind=False)
        np.testing.assert_allclose(blind, absent, atol=1e-4)
