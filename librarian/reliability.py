"""How sure proposals were, and how right: the numbers of a server-rendered picture, one for each model.

The classic reliability diagram: to the right how sure the librarian said it was, upwards how much of it people took
as it was. On the diagonal it knows itself; below, it is too sure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import cos, pi, radians, sin, sqrt

from librarian.acceptance import Row, percent
from librarian.models import OperationKind

# Of a mark: what one decision is still seen by, and what a mark may grow to without hiding its neighbours.
_LEAST_AREA, _MOST_AREA = pi * 4**2, pi * 12**2
# Corners of each kind's mark, and its turn in degrees: colour is not the only sign.
_SHAPES: dict[str, tuple[int, int]] = {
    OperationKind.CREATE: (4, 45),
    OperationKind.REWRITE: (3, 0),
    OperationKind.RETITLE: (4, 0),
    OperationKind.RELINK: (3, 180),
    OperationKind.RETAG: (24, 0),
}


@dataclass(frozen=True, slots=True)
class Tick:
    label: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The square that the shares span, within room for words and for marks on its edge."""

    left: int = 46
    top: int = 28
    span: int = 200

    @property
    def right(self) -> int:
        return self.left + self.span

    @property
    def bottom(self) -> int:
        return self.top + self.span

    @property
    def width(self) -> int:
        return self.right + 18

    @property
    def height(self) -> int:
        return self.bottom + 38

    @property
    def ticks(self) -> list[Tick]:
        return [Tick(f"{part} %", round(self.x(part / 100)), round(self.y(part / 100))) for part in (0, 50, 100)]

    def x(self, share: float) -> float:
        return self.left + self.span * share

    def y(self, share: float) -> float:
        return self.bottom - self.span * share


FRAME = Frame()


@dataclass(frozen=True, slots=True)
class Mark:
    """Of one kind and band; `corners` as SVG's polygons have them."""

    row: Row
    corners: str

    @property
    def words(self) -> str:
        row = self.row
        said = f"{row.kind_label}, {percent(row.mean_confidence)} sure on average"
        return f"{said}: {row.accepted} of {row.decided} accepted ({row.percent})"


@dataclass(frozen=True, slots=True)
class Series:
    """A kind in the legend, in a square of twelve."""

    kind: str
    corners: str

    @property
    def label(self) -> str:
        return str(OperationKind(self.kind).label)


@dataclass(frozen=True, slots=True)
class Picture:
    """Of one model. The large marks come first: small ones lie on them."""

    model: str
    rows: Sequence[Row]
    marks: Sequence[Mark]
    series: Sequence[Series]

    @property
    def words(self) -> str:
        below = sum(row.rate < row.mean_confidence for row in self.rows)
        return f"{below} of {len(self.rows)} marks lie below the diagonal. The table tells each in numbers."


def pictures(rows: Iterable[Row]) -> list[Picture]:
    """Of rows in the order of their models. Marks compare over all pictures."""
    rows = list(rows)
    most = max((row.decided for row in rows), default=1)
    return [_picture(model, list(of_model), most) for model, of_model in groupby(rows, key=lambda row: row.model)]


def _picture(model: str, rows: Sequence[Row], most: int) -> Picture:
    by_size = sorted(rows, key=lambda row: -row.decided)
    kinds = {row.kind for row in rows}
    return Picture(
        model=model,
        rows=rows,
        marks=[Mark(row, _mark(row, most)) for row in by_size],
        series=[Series(kind, _polygon(kind, 6, 6, pi * 3.2**2)) for kind in _SHAPES if kind in kinds],
    )


def _mark(row: Row, most: int) -> str:
    area = _LEAST_AREA + (_MOST_AREA - _LEAST_AREA) * row.decided / most
    return _polygon(row.kind, FRAME.x(row.mean_confidence), FRAME.y(row.rate), area)


def _polygon(kind: str, x: float, y: float, area: float) -> str:
    """A regular polygon around a point, its first corner on top but for the kind's turn."""
    count, turn = _SHAPES[kind]
    radius = sqrt(2 * area / (count * sin(2 * pi / count)))
    angles = [radians(turn + 360 * corner / count) for corner in range(count)]
    return " ".join(f"{x + radius * sin(angle):.1f},{y - radius * cos(angle):.1f}" for angle in angles)
