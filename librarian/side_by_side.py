"""The two sides of a diff beside each other: which line of the old text stands across from which of the new."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from librarian.diff import LINE, Hunk, PartOp

Line = tuple[tuple[PartOp, str], ...]
"""What is said on one line of one side, with its line end: words kept, and those that go or come."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line across from a line; None where the other side has no such line."""

    old: Line | None = None
    new: Line | None = None
    skipped: int = 0
    """Equal lines left out here; then there is nothing else to this row."""

    @property
    def changed(self) -> bool:
        return self.old != self.new


class _Columns:
    """Lines of both sides since they last ended a line together."""

    def __init__(self) -> None:
        self.old: list[list[tuple[PartOp, str]]] = [[]]
        self.new: list[list[tuple[PartOp, str]]] = [[]]

    def add(self, column: list[list[tuple[PartOp, str]]], op: PartOp, text: str) -> None:
        column[-1].append((op, text))
        if text.endswith("\n"):
            column.append([])

    def level(self) -> None:
        """Words that are kept stand across from themselves, however many lines came before them on one side; but a line
        that some of its words hold in place already stays there."""
        shorter, longer = sorted((self.old, self.new), key=len)
        if any(op == "equal" for op, _ in shorter[-1]):
            return
        shorter[-1:-1] = [[] for _ in range(len(longer) - len(shorter))]

    def rows(self) -> Iterator[Row]:
        self.level()
        for old, new in zip_longest(self.old, self.new, fillvalue=()):
            if old or new:
                yield Row(tuple(old) or None, tuple(new) or None)


def side_by_side(hunks: Iterable[Hunk]) -> Iterator[Row]:
    """The rows of a two-column view of `hunks`; its work grows with their length and no faster."""
    for hunk in hunks:
        if hunk.skipped:
            yield Row(skipped=hunk.skipped)
        columns = _Columns()
        for op, text in hunk.parts:
            for piece in LINE.findall(text):
                if op != "equal":
                    columns.add(columns.old if op == "delete" else columns.new, op, piece)
                    continue
                columns.level()
                columns.add(columns.old, op, piece)
                columns.add(columns.new, op, piece)
                if piece.endswith("\n"):
                    yield from columns.rows()
                    columns = _Columns()
        yield from columns.rows()
