import random

from librarian.offline.index import Index
from tests.librarian.offline.vaults import note

PARTS = ["har", "bour", "ti", "de", "win", "cre", "rop", "dec", "sai", "kee", "lan", "mor", "nes", "pol", "qua", "ster"]
WORDS = [one + two + three for one in PARTS for two in PARTS for three in PARTS[:3]]


def text(seed, length=120):
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def asked(*vault, minimum=0.5):
    crowd = [note(f"crowd/{i}.md", text(1000 + i)) for i in range(20)]
    index = Index.build([*crowd, *vault])
    return [p for d in (*crowd, *vault) for p in index.propose([d], kinds={"defer"}, min_confidence=minimum)]


def test_two_notes_that_are_nearly_the_same_are_asked_about_once():
    original = text(1)
    edited = original.replace(original.split()[9], "ebb", 1) + " and one more remark"
    [proposal] = asked(note("a.md", original, title="Tide log"), note("b.md", edited, title="Log of tides"))
    assert proposal.kind == "defer"
    assert proposal.document_id == "b.md"
    assert "“Log of tides” and “Tide log” look like the same note" in proposal.reason
    assert proposal.reason.endswith("which one stays?")
    assert proposal.confidence > 0.75


def test_notes_of_the_same_topic_and_short_notes_are_not_asked_about():
    assert asked(note("a.md", text(1)), note("b.md", text(2)), minimum=0.1) == []
    assert asked(note("a.md", text(1, 30)), note("b.md", text(1, 30)), minimum=0.1) == []


def test_what_a_template_gives_to_many_notes_is_set_aside():
    template = text(5, 150)
    filled = [note(f"forms/{i:02}.md", f"{template} {text(200 + i, 45)}") for i in range(12)]
    assert asked(*filled, minimum=0.1) == []
    copy = note("forms/copy.md", filled[3].body)
    assert [p.document_id for p in asked(*filled, copy)] == ["forms/copy.md"]


def test_scripts_without_spaces():
    signs = random.Random(2).choices("東京塔昨日看了很久然后回家港口船潮汐风雨付款发票", k=150)
    first = "".join(signs)
    [proposal] = asked(note("a.md", first), note("b.md", first[:140] + "完"))
    assert proposal.document_id == "b.md"
