"""The reliability picture: where a mark lies, how large it is, and that its shape tells its kind."""

from itertools import pairwise

import pytest

from librarian.acceptance import Row
from librarian.models import OperationKind
from librarian.reliability import FRAME, pictures


def corners(mark):
    return [tuple(map(float, corner.split(","))) for corner in mark.corners.split()]


def middle(mark):
    points = corners(mark)
    return (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))


def area(mark):
    points = corners(mark)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise([*points, points[0]]))) / 2


def marks(*rows):
    (picture,) = pictures(rows)
    return {(mark.row.kind, mark.row.band): mark for mark in picture.marks}


def test_surer_is_to_the_right_and_more_accepted_is_up():
    found = marks(Row("m", "retag_note", 9, 4, 4, 1.0), Row("m", "retag_note", 0, 4, 0, 0.0))
    assert middle(found["retag_note", 9]) == pytest.approx((FRAME.right, FRAME.top), abs=0.1)
    assert middle(found["retag_note", 0]) == pytest.approx((FRAME.left, FRAME.bottom), abs=0.1)


def test_a_mark_grows_by_its_decisions_and_small_ones_lie_on_top():
    (picture,) = pictures([Row("m", "retag_note", 8, 1, 1, 0.85), Row("m", "retag_note", 7, 1000, 700, 0.75)])
    assert [mark.row.decided for mark in picture.marks] == [1000, 1]
    large, small = map(area, picture.marks)
    assert large > 8 * small > 300


@pytest.mark.parametrize("decided", [1, 10**9])
def test_every_mark_lies_within_the_picture(decided):
    rows = [
        Row("m", kind, 9, decided, accepted, sure)
        for kind in OperationKind.values
        if kind != OperationKind.DEFER
        for accepted in (0, decided)
        for sure in (0.0, 1.0)
    ]
    for mark in pictures(rows)[0].marks:
        assert all(0 <= x <= FRAME.width and 0 <= y <= FRAME.height for x, y in corners(mark))


def test_kinds_are_told_by_their_shape_with_the_same_area():
    kinds = [kind for kind in OperationKind.values if kind != OperationKind.DEFER]
    found = marks(*(Row("m", kind, 9, 5, 5, 0.95) for kind in kinds))
    assert len({mark.corners for mark in found.values()}) == len(kinds)
    assert [area(mark) for mark in found.values()] == pytest.approx([area(found["retag_note", 9])] * 5, rel=0.05)


def test_each_model_has_a_picture_with_a_legend_of_what_is_in_it():
    rows = [
        Row("a", "retag_note", 9, 4, 3, 0.95),
        Row("a", "rewrite_note", 8, 1, 1, 0.85),
        Row("b", "relink_note", 9, 2, 1, 0.95),
    ]
    first, second = pictures(rows)
    assert [(each.model, [series.label for series in each.series]) for each in (first, second)] == [
        ("a", ["rewrite", "retag"]),
        ("b", ["add links"]),
    ]
    assert first.words == "1 of 2 marks lie below the diagonal. The table tells each in numbers."
    assert first.marks[0].words == "retag, 95 % sure on average: 3 of 4 accepted (75 %)"


def test_nothing_decided_is_no_picture():
    assert pictures([]) == []
