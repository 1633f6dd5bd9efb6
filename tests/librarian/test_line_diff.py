"""The diff by lines loses nothing, marks the words that changed, and does a bounded amount of work."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from librarian.line_diff import Line, line_hunks
from tests.librarian.test_diff import SHAPES, edits, lines_executed


def side(hunks, without):
    return "".join(text for hunk in hunks for line in hunk.lines if line.op != without for _, text in line.pieces)


@given(edits(), st.sampled_from([0, 50, 3_000_000]))
def test_both_sides_are_complete_but_for_the_lines_left_out(pair, work):
    found = line_hunks(*pair, work=work)
    for text, without in zip(pair, ("insert", "delete"), strict=True):
        shown, skipped = side(found, without), sum(hunk.skipped for hunk in found)
        assert not found or shown.count("\n") + skipped in {text.count("\n"), text.count("\n") + 1}
        assert skipped or not found or shown == text


@given(edits())
def test_only_lines_that_differ_have_words_that_do(pair):
    for hunk in line_hunks(*pair):
        assert not any(differs for line in hunk.lines if line.op == "equal" for differs, _ in line.pieces)


@given(edits())
def test_there_is_something_to_see_where_something_changed(pair):
    assert bool(line_hunks(*pair)) == (pair[0] != pair[1])


def test_a_line_in_the_place_of_another_has_the_words_that_changed_marked():
    (hunk,) = line_hunks("a\nThe old way.\nb\n", "a\nThe new way.\nb\n")
    assert hunk.lines == (
        Line("equal", ((False, "a\n"),)),
        Line("delete", ((False, "The "), (True, "old"), (False, " way.\n"))),
        Line("insert", ((False, "The "), (True, "new"), (False, " way.\n"))),
        Line("equal", ((False, "b\n"),)),
    )


def test_what_is_far_from_a_change_is_left_out():
    lines = [f"{number}\n" for number in range(100)]
    head, tail = line_hunks("".join(lines), "".join([*lines[:50], "new\n", *lines[50:]]))
    assert (head.skipped, len(head.lines), tail.skipped) == (47, 7, 47)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_work_is_bounded_by_the_budget_and_the_size(shape):
    size, work = 3_000, 20_000
    old, new = SHAPES[shape](size)
    # As that of `word_diff`, and once more the lines and pieces themselves.
    bound = 2 * 8 * 5 * work + 60 * (len(old) + len(new))
    assert lines_executed(lambda: line_hunks(old, new, work=work)) < bound


def test_all_changed_lines_share_one_budget():
    rng = random.Random(1)
    old, new = ("".join(f"only {n}\n" + " ".join(rng.choices("ab", k=100)) + "\n" for n in range(40)) for _ in range(2))
    enough_for_one = 1_200_000
    one = lines_executed(lambda: line_hunks(old, new, work=enough_for_one))
    assert 3 * one < lines_executed(lambda: line_hunks(old, new, work=400 * enough_for_one))
