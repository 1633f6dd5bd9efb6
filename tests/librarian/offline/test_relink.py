import pytest

from kjxlkj.notes.markdown import insert_links, only_links_differ, parse_links
from librarian.offline.index import Index
from librarian.offline.relink import Author
from tests.librarian.offline.vaults import linked_vault, note

CHECKLIST = note("Release checklist.md", "Steps before a release.")
OTHERS = [note(f"other {i}.md", f"Nothing of interest, number {i}, in plain words.") for i in range(20)]


def links(source, *vault, minimum=0.5):
    index = Index.build([*vault, *OTHERS, source])
    return [
        link
        for proposal in index.propose([source], kinds={"relink_note"}, min_confidence=minimum)
        for link in proposal.links
    ]


def test_a_title_of_several_words_is_linked_where_it_first_stands():
    source = note("s.md", "We follow the Release checklist. The Release checklist is long.")
    index = Index.build([CHECKLIST, *OTHERS, source])
    [proposal] = index.propose([source], kinds={"relink_note"})
    assert proposal.links == (("Release checklist", "Release checklist"),)
    assert "“Release checklist” stands here unlinked" in proposal.reason
    assert 0.8 < proposal.confidence < 1
    linked = insert_links(source.body, proposal.links)
    assert linked == "We follow the [[Release checklist]]. The Release checklist is long."


@pytest.mark.parametrize(
    "body",
    [
        "`Release checklist`",
        "```\nRelease checklist\n```",
        "# Release checklist",
        "Release checklist\n===",
        "https://x.org/Release checklist".replace(" ", "-"),
        "<!-- Release checklist -->",
        "%%Release checklist%%",
        "[Release checklist](http://example.org)",
        "[[Elsewhere|Release checklist]]",
        "Prerelease checklists and release-checklist.",
        "Release\n\nchecklist",
        "Seen in [[Release checklist]] and again: Release checklist.",
        "Seen in [another place](Release%20checklist.md) and again: Release checklist.",
    ],
)
def test_what_is_not_free_text_or_is_linked_already_is_left_alone(body):
    assert links(note("s.md", body), CHECKLIST, minimum=0.05) == []


def test_a_note_is_never_linked_to_itself():
    source = note("Release checklist.md", "This Release checklist is ours.")
    assert links(source, minimum=0.05) == []


def test_a_name_that_two_notes_bear_is_left_alone():
    twins = [note(f"{place}/Release checklist.md", "Steps.") for place in "ab"]
    assert links(note("s.md", "See the Release checklist."), *twins, minimum=0.3) == []


def test_everyday_words_numbers_and_dates_are_no_references():
    vault = [note(f"{name}.md", "A note.") for name in ("Index", "2024-05-01", "Todo", "the", "42")]
    assert links(note("s.md", "The Index of 2024-05-01: Todo 42, the end."), *vault, minimum=0.05) == []


def test_the_target_is_a_name_that_reaches_the_note():
    renamed = note("x1.md", "Steps.", title="Release: a [checklist]", aliases=("Release checklist",))
    assert links(note("s.md", "See the Release checklist."), renamed) == [("Release checklist", "x1")]


def test_aliases_and_plurals_are_known():
    vault = [note("Paylane.md", "Cards.", aliases=("Payment gateway",)), note("Credit note.md", "Money back.")]
    found = links(note("s.md", "The Payment gateway wants Credit notes."), *vault, minimum=0.4)
    assert sorted(found) == [("Credit notes", "Credit note"), ("Payment gateway", "Paylane")]


def test_the_longer_name_wins_and_the_shorter_is_not_put_inside_it():
    vault = [note("Release checklist.md", "a"), note("Release checklist for mobile.md", "b")]
    source = note("s.md", "The Release checklist for mobile, and then the Release checklist.")
    index = Index.build([*vault, *OTHERS, source])
    [proposal] = index.propose([source], kinds={"relink_note"}, min_confidence=0.3)
    assert insert_links(source.body, proposal.links) == (
        "The [[Release checklist for mobile]], and then the [[Release checklist]]."
    )


@pytest.mark.parametrize(
    ("title", "body", "text"),
    [
        ("東京タワー", "昨日は東京タワーに行きました。", "東京タワー"),
        ("数据保留政策", "请看数据保留政策的第二条。", "数据保留政策"),
        ("Release checklist", "İİİ ßß İstanbul: Release checklist", "Release checklist"),
        ("İzmir harbour plan", "Der İzmir harbour plan", "İzmir harbour plan"),
        ("Straße am Hafen", "In der Straße am Hafen.", "Straße am Hafen"),
    ],
)
def test_other_scripts_and_letters_that_change_length_in_lower_case(title, body, text):
    source = note("s.md", body)
    found = links(source, note(f"{title}.md", "x"))
    assert found == [(text, title)]
    assert only_links_differ(source.body, insert_links(source.body, found))


@pytest.fixture(scope="module")
def taught():
    return Index.build(linked_vault())


def test_what_the_vault_links_is_learned(taught):
    assert taught.link_trust == 1
    source = note("new.md", "In the harbour somebody asked about berth watch and Quay Pay.")
    [proposal] = taught.propose([source], kinds={"relink_note"}, min_confidence=0.6)
    assert sorted(proposal.links) == [("Quay Pay", "Quay Pay"), ("berth watch", "Berth Watch")]
    assert "notes that mention it link it" in proposal.reason


def test_a_notes_own_links_are_no_evidence_for_themselves():
    vault = linked_vault(30)
    row, witness = 12, note("diary/witness.md", "A lone [[Quay Pay]] here, and [[Quay Pay|the till]].")
    with_links, without = (
        Index.build([*vault[:row], changed, *vault[row:]])
        for changed in (witness, note("diary/witness.md", "A lone Quay Pay here, and the till."))
    )

    def features(index, author):
        text = "A lone Quay Pay here, and the till."
        mentions = index.phrases.mentions(text)
        return [c.features for c in index._linker.candidates(author, text, mentions)]

    target = with_links.vault.names["quay pay"]
    own = Author(row, "diary", 35, frozenset({target}), frozenset({"quay pay", "the till"}), counted=True)
    assert features(with_links, own) == features(without, Author(row, "diary", 35, counted=True))


def test_every_proposal_can_be_inserted_and_changes_links_alone(taught):
    sources = [note(d.path, d.body.replace("[[", "").replace("]]", "")) for d in linked_vault()[10:80]]
    proposals = taught.propose(sources, kinds={"relink_note"}, min_confidence=0.2)
    bodies = {source.id: source.body for source in sources}
    assert len(proposals) > 50
    for proposal in proposals:
        body = bodies[proposal.document_id]
        linked = insert_links(body, proposal.links)
        assert only_links_differ(body, linked)
        assert len(parse_links(linked)) == len(parse_links(body)) + len(proposal.links)


def named(index, source, most=5):
    [around] = index.surroundings([source], most)
    return around.named


def test_what_a_text_names_is_told_with_its_words_though_nobody_would_be_sure_of_it():
    twins = [note(f"{place}/Release checklist.md", "Steps.") for place in "ab"]
    source = note("s.md", "The invoices wait for the release checklist.")
    index = Index.build([note("Invoice.md", "Money."), *twins, *OTHERS, source])
    assert index.propose([source], kinds={"relink_note"}) == []
    assert dict(named(index, source)) == {
        "a/Release checklist.md": "release checklist",
        "b/Release checklist.md": "release checklist",
        "Invoice.md": "invoices",
    }
    assert len(named(index, source, most=2)) == 2


def test_of_a_very_long_text_the_beginning_is_looked_through():
    source = note("s.md", "Plain words. " * 20_000 + "The Release checklist.")
    index = Index.build([CHECKLIST, *OTHERS, source])
    assert named(index, source) == []
