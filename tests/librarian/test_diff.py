"""The word diff loses nothing, does a bounded amount of work, and folds what did not change."""

import random
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from librarian.diff import MOST_SEGMENTS, Hunk, Segment, hunks, limited_diff, only_whitespace_changed, word_diff

words = st.sampled_from(
    ["a", "b", "the", "note", " ", "  ", "\n", "\n\n", "- ", ".", "日", "本", "é", "\t", "\r\n", "\x0c"]
)
texts = st.lists(words, max_size=60).map("".join) | st.text(max_size=40)


@st.composite
def edits(draw):
    """A text and the same with a few places changed."""
    old = draw(texts)
    new = old
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(new)))
        new = new[:start] + draw(texts) + new[start + draw(st.integers(0, 8)) :]
    return old, new


def olds(segments):
    return "".join(segment.old for segment in segments)


def news(segments):
    return "".join(segment.new for segment in segments)


@given(edits(), st.sampled_from([0, 50, 3_000_000]))
def test_both_sides_are_complete_whatever_the_budget(pair, work):
    segments = word_diff(*pair, work=work)
    assert (olds(segments), news(segments)) == pair
    for segment in segments:
        assert (segment.op == "equal") == (segment.old == segment.new)
        assert bool(segment.old) == (segment.op != "insert")
        assert bool(segment.new) == (segment.op != "delete")
    for one, other in pairwise(segments):
        assert (one.op == "equal") != (other.op == "equal")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", []),
        ("same", "same", [Segment("equal", "same", "same")]),
        ("", "new", [Segment("insert", "", "new")]),
        ("old", "", [Segment("delete", "old", "")]),
        (
            "see the runbook now",
            "see the [[runbook]] now",
            [
                Segment("equal", "see the ", "see the "),
                Segment("insert", "", "[["),
                Segment("equal", "runbook", "runbook"),
                Segment("insert", "", "]]"),
                Segment("equal", " now", " now"),
            ],
        ),
        (
            "foo bar",
            "foo, bar",
            [Segment("equal", "foo", "foo"), Segment("insert", "", ","), Segment("equal", " bar", " bar")],
        ),
        (
            "一行の日本語です",
            "一行の英語です",
            [
                Segment("equal", "一行の", "一行の"),
                Segment("replace", "日本", "英"),
                Segment("equal", "語です", "語です"),
            ],
        ),
        (
            "one\ntwo\nthree\n",
            "one\nthree\n",
            [
                Segment("equal", "one\n", "one\n"),
                Segment("delete", "two\n", ""),
                Segment("equal", "three\n", "three\n"),
            ],
        ),
    ],
)
def test_what_a_reader_sees(old, new, expected):
    assert word_diff(old, new) == expected


def lines_executed(call) -> int:
    """Lines of Python run by `call`: the same on every machine, unlike seconds."""
    count = 0

    def trace(_frame, event, _arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def shuffled(items, seed=1):
    items = list(items)
    random.Random(seed).shuffle(items)
    return items


SHAPES = {
    "two words in another order": lambda n: (
        " ".join(random.Random(1).choices("ab", k=n)),
        " ".join(random.Random(2).choices("ab", k=n)),
    ),
    "one word, longer": lambda n: ("a " * n, "b " + "a " * (2 * n) + "c"),
    "all words once, shuffled": lambda n: (
        " ".join(f"w{i}" for i in range(n)),
        " ".join(shuffled(f"w{i}" for i in range(n))),
    ),
    "all words once, reversed": lambda n: (
        " ".join(f"w{i}" for i in range(n)),
        " ".join(f"w{i}" for i in reversed(range(n))),
    ),
    "every second word changed": lambda n: (
        " ".join("the" if i % 2 else f"o{i}" for i in range(n)),
        " ".join("the" if i % 2 else f"n{i}" for i in range(n)),
    ),
    "the same lines shuffled": lambda n: (
        "".join(f"l{i % 7}\n" for i in range(n)),
        "".join(shuffled(f"l{i % 7}\n" for i in range(n))),
    ),
    "characters without words": lambda n: ("日本" * n, "本日本" * n),
    "punctuation": lambda n: ("|-" * n, "-|-" * n),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_work_is_bounded_by_the_budget_and_the_size(shape):
    size, work = 3_000, 20_000
    old, new = SHAPES[shape](size)
    # Each step of difflib's inner loop is 5 lines and is charged at an eighth; lines and words have a budget each.
    bound = 2 * 8 * 5 * work + 30 * (len(old) + len(new))
    assert lines_executed(lambda: word_diff(old, new, work=work)) < bound


def test_without_a_bound_the_same_shape_would_cost_many_times_more():
    old, new = SHAPES["two words in another order"](600)
    bounded = lines_executed(lambda: word_diff(old, new, work=1_000))
    assert lines_executed(lambda: word_diff(old, new, work=1 << 60)) > 20 * bounded


def test_all_gaps_share_one_budget():
    rng = random.Random(1)
    old, new = (
        "".join(f"only {n}\n" + "\n".join(rng.choices("ab", k=100)) + "\n" for n in range(20)) for _ in range(2)
    )
    enough_for_one = 1_040_000
    one = lines_executed(lambda: word_diff(old, new, work=enough_for_one))
    assert 1.5 * one < lines_executed(lambda: word_diff(old, new, work=20 * enough_for_one))


def test_changed_lines_beyond_the_budget_are_shown_whole():
    old = "".join(f"kept {n}\nold {n}\n" for n in range(10))
    new = old.replace("old", "new")
    whole = Segment("replace", "old 9\n", "new 9\n")
    assert whole in word_diff(old, new, work=1_000)
    assert whole not in word_diff(old, new)


def numbered(first: int, last: int) -> str:
    return "".join(f"line {n}\n" for n in range(first, last + 1))


def test_equal_stretches_are_folded_to_the_lines_around_a_change():
    old = numbered(1, 20)
    new = old.replace("line 8\n", "row 8\n").replace("line 20\n", "line 20\nmore\n")
    assert hunks(word_diff(old, new)) == [
        Hunk(
            5,
            (
                ("equal", "line 6\nline 7\n"),
                ("delete", "line"),
                ("insert", "row"),
                ("equal", " 8\nline 9\nline 10\n"),
            ),
        ),
        Hunk(8, (("equal", "line 19\nline 20\n"), ("insert", "more\n"))),
    ]


def test_the_last_hunk_tells_what_is_left_out_behind_it():
    old = numbered(1, 9)
    assert hunks(word_diff(old, "new\n" + old), context_lines=1) == [
        Hunk(0, (("insert", "new\n"), ("equal", "line 1\n"))),
        Hunk(8, ()),
    ]


def test_a_fold_that_would_save_nothing_is_not_made():
    old = numbered(1, 3)
    assert hunks(word_diff(old, "new\n" + old)) == [Hunk(0, (("insert", "new\n"), ("equal", old)))]


@pytest.mark.parametrize("text", ["", "one", numbered(1, 50)])
def test_no_change_makes_no_hunk(text):
    assert hunks(word_diff(text, text)) == []


def skip_lines(text: str, start: int, count: int) -> int:
    for _ in range(count):
        newline = text.find("\n", start)
        start = newline + 1 if newline >= 0 else len(text)
    return start


@given(edits(), st.integers(0, 3))
def test_hunks_and_what_they_skip_make_up_both_texts(pair, context_lines):
    old, new = pair
    if old == new:
        return
    i = j = 0
    for hunk in hunks(word_diff(old, new), context_lines):
        i, j = skip_lines(old, i, hunk.skipped), skip_lines(new, j, hunk.skipped)
        for op, text in hunk.parts:
            if op != "insert":
                assert old.startswith(text, i)
                i += len(text)
            if op != "delete":
                assert new.startswith(text, j)
                j += len(text)
    assert (i, j) == (len(old), len(new))


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        ("a b", "a  b\n", True),
        ("a\r\nb", "a\nb", True),
        ("a\tb", "a\u00a0b", True),
        ("a b", "ab", True),
        ("a b", "a b", False),
        ("a b", "a c", False),
        ("", " ", True),
    ],
)
def test_changes_of_white_space_alone_are_recognised(old, new, answer):
    assert only_whitespace_changed(old, new) is answer


class TestSegments:
    """However many places change, a page has only so many marks to draw."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("same\n" + "a\n" * 100_000 + "end", "same\n" + "b\n" * 100_000 + "end"),
            ("same\n" + "x\na\n" * 50_000 + "end", "same\n" + "x\nb\n" * 50_000 + "end"),
            (
                "same\n" + "".join(f"{n}\na\n" for n in range(50_000)),
                "same\n" + "".join(f"{n}\nb\n" for n in range(50_000)),
            ),
        ],
    )
    def test_are_bounded(self, old, new):
        segments = word_diff(old, new)
        assert len(segments) <= MOST_SEGMENTS
        assert segments[0].op == "equal"
        assert "".join(segment.old for segment in segments) == old
        assert "".join(segment.new for segment in segments) == new


class TestLimited:
    def test_texts_that_differ_little_are_compared_whole_however_long(self):
        old = "same\n" * 1000 + "old word\n" + "same\n" * 1000
        new = old.replace("old", "new")
        segments, cut = limited_diff(old, new, 100)
        assert not cut
        assert segments == word_diff(old, new)

    def test_of_others_the_beginning_from_the_first_difference_on(self):
        old, new = ("same\n" * 1000 + f"{word} " * 1000 for word in ("old", "new"))
        segments, cut = limited_diff(old, new, 100)
        assert cut
        assert "".join(segment.old for segment in segments) == old[: 5000 + 100]
        assert "".join(segment.new for segment in segments) == new[: 5000 + 100]

    @pytest.mark.parametrize(("old", "new"), [("", ""), ("", "a"), ("a", ""), ("a", "a"), ("aa", "a"), ("aba", "aa")])
    def test_at_the_edges(self, old, new):
        assert limited_diff(old, new, 1) == (word_diff(old, new), False)
