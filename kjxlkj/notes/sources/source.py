"""What every source has, and what they do alike."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from kjxlkj.notes.vault import Contents, Entry, NoteFile, Shape, Skipped


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that the source says and a note here does not, or not in the same way."""

    path: str
    """Where the file came to."""
    line: int | None
    """In the file; None where it concerns the whole."""
    code: str
    text: str
    """What, and what has become of it."""


Carry = Callable[[Contents, Iterator[Entry]], Iterator[Entry | Lost]]
Places = Mapping[str, str | None]
"""The path of each file here; None for what is left out."""


@dataclass(frozen=True, slots=True)
class Source:
    name: str
    label: str
    sign: Callable[[Contents], str]
    """What shows that a vault is one of these; "" where nothing does for sure."""
    carry: Carry
    shape: Shape = field(default_factory=Shape)
    wanted: Callable[[str], bool] = lambda path: False
    """Which small files have to be known before the others are read."""


def as_it_is(contents: Contents, entries: Iterator[Entry]) -> Iterator[Entry | Lost]:
    return entries


def carried(
    entries: Iterator[Entry], places: Places, convert: Callable[[NoteFile, str], Iterable[NoteFile | Lost]]
) -> Iterator[Entry | Lost]:
    """Each entry at its new place. Notes of which a manifest of ours tells are not converted a second time."""
    for entry in entries:
        place = places.get(entry.path, entry.path)
        if place is None:
            yield Skipped(entry.path)
        elif isinstance(entry, NoteFile) and entry.recorded is None:
            yield from convert(entry, place)
        else:
            yield replace(entry, path=place)


def kept_apart(wanted: Mapping[str, str]) -> dict[str, str]:
    """New names by old ones, where those that would get one name with others keep their old ones."""
    chosen = dict(wanted)
    while True:
        bearers: dict[str, list[str]] = {}
        for old, new in chosen.items():
            bearers.setdefault(new, []).append(old)
        clashing = [old for olds in bearers.values() if len(olds) > 1 for old in olds if chosen[old] != old]
        if not clashing:
            return chosen
        chosen.update((old, old) for old in clashing)


class Lines:
    """The number of the line at a position, for as many positions as one asks for."""

    def __init__(self, text: str) -> None:
        self._text = text

    def at(self, position: int) -> int:
        return bisect_left(self._ends, position) + 1

    @cached_property
    def _ends(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self._text)]
