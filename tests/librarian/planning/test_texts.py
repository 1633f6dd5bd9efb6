"""Estimates of tokens, cut notes, and what front matter allows."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import NewNote, create_notes
from librarian.planning.cutting import cut_at_heading
from librarian.planning.privacy import may_be_sent, why_not
from librarian.planning.tokens import estimated_tokens, looks_truncated

LONG = (
    "# One\n\nFirst words.\n\n## Two\n\n```\n# no heading\n```\n\nSecond words.\n\n## Three\n\n"
    + "Third words.\n" * 200
)


def test_a_text_that_fits_is_sent_whole():
    assert cut_at_heading(LONG, 10_000) == (LONG, False)


def test_a_long_text_ends_before_a_heading_and_says_that_it_goes_on():
    text, is_cut = cut_at_heading(LONG, 120)
    assert is_cut
    assert "Second words." in text
    assert "Third words." not in text
    assert text.endswith("[The note goes on; the rest was left out. Its further headings: Three]\n")


def test_no_fence_is_cut_open():
    fenced = "Words.\n\n```\n" + "# not a heading\n\ncode\n" * 100 + "```\n"
    text, is_cut = cut_at_heading(fenced, 60)
    assert is_cut
    assert text.startswith("Words.\n\n[The note goes on")


def test_a_text_without_any_place_to_cut_is_cut_all_the_same():
    text, is_cut = cut_at_heading("x" * 10_000, 100)
    assert is_cut
    assert estimated_tokens(text) <= 100


@given(st.text(max_size=3000), st.integers(1, 400))
def test_what_is_cut_fits_and_is_the_beginning(body, most):
    text, is_cut = cut_at_heading(body, most)
    assert is_cut == (estimated_tokens(body) > most)
    if is_cut:
        assert estimated_tokens(text) <= most + 60
        assert body.startswith(text.rpartition("\n\n[The note goes on")[0])


# What real tokenizers made of texts of our own.
COUNTED = json.loads(Path(__file__).with_name("token_counts.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("counted", COUNTED, ids=lambda counted: counted["name"])
def test_an_estimate_is_hardly_below_what_any_tokenizer_makes_of_a_text(counted):
    most = max(counted["counts"].values())
    assert 0.9 * most <= estimated_tokens(counted["text"]) <= 2 * most


def test_estimates_are_hardly_above_the_highest_count_where_texts_are_many():
    estimated = sum(estimated_tokens(counted["text"]) for counted in COUNTED)
    assert estimated <= 1.25 * sum(max(counted["counts"].values()) for counted in COUNTED)


@pytest.mark.parametrize("counted", COUNTED, ids=lambda counted: counted["name"])
def test_no_tokenizers_honest_count_is_an_alarm(counted):
    assert not looks_truncated([counted["text"]], min(counted["counts"].values()))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # As cl100k_base counts them, about.
        ("The quick brown fox jumps over the lazy dog. " * 100, 1_001),
        ("def add(a, b):\n    return a + b\n\n\n" * 100, 1_400),
        ("今日は天気がいいので散歩に行きます。" * 100, 1_600),
        ("| a | b | c |\n" * 100, 800),
    ],
)
def test_an_honest_count_is_no_alarm_and_a_third_of_it_is(text, tokens):
    assert not looks_truncated([text], tokens)
    assert looks_truncated([text], tokens // 4)
    assert not looks_truncated([text], None)


@pytest.mark.parametrize(
    ("said", "here", "elsewhere"),
    [
        ({}, True, True),
        ({"librarian": None}, True, True),
        ({"librarian": "yes"}, True, True),
        ({"librarian": True}, True, True),
        ({"librarian": " Local "}, True, False),
        ({"librarian": "local"}, True, False),
        ({"librarian": "NEVER"}, False, False),
        ({"librarian": "nver"}, False, False),
        ({"librarian": ["never"]}, False, False),
        ({"librarian": False}, False, False),
    ],
)
def test_front_matter_says_who_may_read_a_note(said, here, elsewhere):
    assert (why_not(said, is_local=True) == "") == here
    assert (why_not(said, is_local=False) == "") == elsewhere


@pytest.mark.django_db
def test_the_database_is_never_laxer(workspace, owner):
    values = ["yes", "true", "local", '" Local "', "never", "nver", "[never]", "false", "cloud"]
    create_notes(
        workspace,
        [NewNote(f"N{n}", "t", f"{n}.md", front_matter=f"---\nlibrarian: {v}\n---\n") for n, v in enumerate(values)]
        + [NewNote("Plain", "t", "plain.md")],
        cause=by(owner),
    )
    for is_local in (True, False):
        for note in Note.objects.filter(may_be_sent(is_local=is_local)):
            assert why_not(note.metadata, is_local=is_local) == ""
        assert Note.objects.filter(may_be_sent(is_local=is_local), title="Plain").exists()
    local = {
        note.metadata["librarian"] for note in Note.objects.filter(may_be_sent(is_local=True), title__startswith="N")
    }
    assert {"local", "cloud", True} <= local
