"""Three texts into one: both changes where they keep out of each other's way, both versions where they do not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kjxlkj.errors import Invalid
from librarian.merge import OR, PRESENT, PROPOSED, check_resolved, merge

texts = st.lists(st.sampled_from(["a\n", "b b\n", "c\n", "\n", "d", "e f\n"]), max_size=8).map("".join)

BASE = "one\ntwo\nthree\nfour\nfive\n"


@given(texts, texts)
def test_where_one_side_changed_nothing_the_other_stands(base, changed):
    assert merge(base, changed, base) == merge(base, base, changed) == merge(base, changed, changed)
    assert merge(base, changed, base).text == changed


@given(texts, texts, texts)
def test_every_line_of_it_comes_from_one_of_the_three(base, present, proposed):
    merged = merge(base, present, proposed)
    known = {*"".join((base, "\n", present, "\n", proposed)).split("\n"), PRESENT, OR, PROPOSED, ""}
    assert set(merged.text.split("\n")) <= known
    assert merged.text.count(PRESENT) == merged.text.count(PROPOSED) == merged.conflicts


def test_changes_of_different_lines_are_both_in_it():
    merged = merge(BASE, BASE.replace("two", "TWO"), BASE.replace("five", "FIVE"))
    assert (merged.text, merged.conflicts) == ("one\nTWO\nthree\nfour\nFIVE\n", 0)


def test_lines_that_both_changed_stand_in_both_versions():
    merged = merge(BASE, BASE.replace("two", "mine"), BASE.replace("two", "theirs"))
    assert merged.text == f"one\n{PRESENT}\nmine\n{OR}\ntheirs\n{PROPOSED}\nthree\nfour\nfive\n"


def test_line_ends_of_another_system_are_no_conflict():
    merged = merge(BASE.replace("\n", "\r\n"), BASE.replace("\n", "\r\n").replace("two", "TWO"), BASE + "six\n")
    assert (merged.text, merged.conflicts) == ("one\nTWO\nthree\nfour\nfive\nsix\n", 0)


@pytest.mark.parametrize("marker", [PRESENT, OR, PROPOSED])
def test_a_marker_that_is_left_is_named_with_its_line(marker):
    with pytest.raises(Invalid, match="line 2 is still") as refusal:
        check_resolved(f"text\n{marker}\nmore\n")
    assert refusal.value.code == "CONFLICT_MARKERS"


def test_markers_of_other_tools_are_text():
    check_resolved("<<<<<<< HEAD\na\n=======\nb\n>>>>>>> main\n\nTitle\n=======\n")


def test_two_large_texts_that_repeat_themselves_are_merged_in_time():
    base = "the same words again\n" * 5000
    present = "".join(line if number % 7 else "other\n" for number, line in enumerate(base.splitlines(keepends=True)))
    proposed = "".join(line if number % 5 else "more\n" for number, line in enumerate(base.splitlines(keepends=True)))
    began = time.perf_counter()
    merge(base, present, proposed)
    assert time.perf_counter() - began < 2
