"""Stacked bars as whole numbers, for server-rendered SVG. What the parts look like, and the words, are the template's.

A template stretches `width` × `height` to its place (`preserveAspectRatio="none"`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

HEIGHT = 100
_WIDTH = 600  # about, for all bars together
_LEAST = 3  # a single failure among thousands is seen

Of = TypeVar("Of")


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Bar(Generic[Of]):
    of: Of
    x: int
    width: int
    parts: list[Part]
    """From the ground up; those of nothing are left out."""


@dataclass(frozen=True, slots=True)
class Chart(Generic[Of]):
    bars: list[Bar[Of]]
    most: int
    """What the highest bar stands for."""
    width: int
    height: int = HEIGHT


def stacked(columns: Iterable[tuple[Of, Mapping[str, int]]]) -> Chart[Of]:
    """A bar for each column: what it is of, and its numbers by the names of the parts, the lowest first."""
    drawn = list(columns)
    most = max((sum(numbers.values()) for _, numbers in drawn), default=0)
    pitch = _WIDTH // max(len(drawn), 1)
    gap = pitch // 5
    bars = [
        Bar(of, place * pitch + gap // 2, pitch - gap, _parts(numbers, most))
        for place, (of, numbers) in enumerate(drawn)
    ]
    return Chart(bars, most, pitch * len(drawn))


def _parts(numbers: Mapping[str, int], most: int) -> list[Part]:
    # Room is left on top, since each part may have been made as high as the least.
    room = HEIGHT - len(numbers) * _LEAST
    parts = []
    y = HEIGHT
    for name, number in numbers.items():
        if number:
            height = max(_LEAST, number * room // most)
            y -= height
            parts.append(Part(name, y, height))
    return parts
