"""Stacked bars: what is drawn fits, and nothing there is goes unseen."""

from hypothesis import given
from hypothesis import strategies as st

from kjxlkj.chart import HEIGHT, Chart, stacked

numbers = st.fixed_dictionaries({name: st.integers(0, 10**9) for name in ("low", "middle", "high")})


@given(st.lists(numbers, max_size=60))
def test_every_part_has_its_place_and_none_lies_outside(columns: list[dict[str, int]]) -> None:
    drawn = stacked(enumerate(columns))
    assert drawn.most == max((sum(column.values()) for column in columns), default=0)
    right = 0
    for bar, column in zip(drawn.bars, columns, strict=True):
        assert right <= bar.x < bar.x + bar.width <= drawn.width
        right = bar.x + bar.width
        assert [part.name for part in bar.parts] == [name for name, number in column.items() if number]
        ground = HEIGHT
        for part in bar.parts:
            assert part.y + part.height == ground
            ground = part.y
        assert ground >= 0


def test_the_highest_bar_fills_the_picture() -> None:
    first, second = stacked([("a", {"ok": 900, "bad": 100}), ("b", {"ok": 1, "bad": 0})]).bars
    assert first.parts[-1].y < HEIGHT / 10
    assert second.parts[0].y > HEIGHT * 0.9


def test_the_least_part_is_seen() -> None:
    (bar,) = stacked([("a", {"ok": 100_000, "bad": 1})]).bars
    assert bar.parts[1].height >= 3


def test_without_columns_there_is_nothing_to_draw() -> None:
    drawn: Chart[None] = stacked([])
    assert (drawn.bars, drawn.most, drawn.width) == ([], 0, 0)
