"""Rows of two columns: nothing of either side is lost, and lines that stay stand across from themselves."""

from hypothesis import given
from hypothesis import strategies as st

from librarian.diff import hunks, word_diff
from librarian.side_by_side import side_by_side

texts = st.lists(st.sampled_from(["a\n", "b b\n", "c d e\n", "\n", "f", "c d\n", "g "]), max_size=9).map("".join)


def rows(old, new, context=2):
    return list(side_by_side(hunks(word_diff(old, new), context)))


def told(old, new):
    """What the rows say, without the marks."""
    said = [(row.old, row.new) for row in rows(old, new)]
    return [tuple(line and "".join(text for _, text in line) for line in pair) for pair in said]


@given(texts, texts)
def test_each_column_holds_its_text_whole(old, new):
    if old == new:
        assert rows(old, new) == []
        return
    shown = rows(old, new, context=100)
    for column, kept, text in (("old", {"equal", "delete"}, old), ("new", {"equal", "insert"}, new)):
        lines = [getattr(row, column) or () for row in shown]
        assert "".join(part for line in lines for _, part in line) == text
        assert {op for line in lines for op, _ in line} <= kept
        assert all("\n" not in part[:-1] for line in lines for _, part in line)


def test_a_changed_line_stands_across_from_what_it_was():
    said = told("a\nold words\nc\n", "a\nnew words\nc\n")
    assert said == [("a\n", "a\n"), ("old words\n", "new words\n"), ("c\n", "c\n")]


def test_a_line_that_comes_or_goes_leaves_a_gap_across():
    assert told("a\nb\n", "a\nx\ny\nb\n") == [("a\n", "a\n"), (None, "x\n"), (None, "y\n"), ("b\n", "b\n")]
    assert told("a\ngone\nb\n", "a\nb\n") == [("a\n", "a\n"), ("gone\n", None), ("b\n", "b\n")]


def test_a_line_stays_where_its_first_kept_words_are():
    said = told("a\nMore.\n", "a\n## More\n\nAnd so on.\n")
    assert said == [("a\n", "a\n"), ("More.\n", "## More\n"), (None, "\n"), (None, "And so on.\n")]


def test_words_are_marked_within_their_line():
    (row,) = rows("one old three\n", "one new three\n")
    assert row.old == (("equal", "one "), ("delete", "old"), ("equal", " three\n"))
    assert row.new == (("equal", "one "), ("insert", "new"), ("equal", " three\n"))
    assert row.changed


def test_lines_left_out_are_counted():
    shown = rows("x\n" + "same\n" * 20, "y\n" + "same\n" * 20)
    assert [row.skipped for row in shown] == [0, 0, 0, 18]
