"""A unified diff by lines, in which the words that changed are marked: for texts that a machine wrote."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from librarian.diff import LINE, PartOp, hunks, line_diff, word_diff
from librarian.matching import WORK

Pieces = tuple[tuple[bool, str], ...]


@dataclass(frozen=True, slots=True)
class Line:
    op: PartOp
    pieces: Pieces
    """What the line is made of: (it differs from the other side, text)."""

    @property
    def element(self) -> str:
        """Of HTML."""
        return {"delete": "del", "insert": "ins", "equal": "span"}[self.op]


@dataclass(frozen=True, slots=True)
class LineHunk:
    skipped: int
    """Equal lines left out before it."""
    lines: tuple[Line, ...]


def line_hunks(old: str, new: str, *, work: int = WORK) -> list[LineHunk]:
    """Nothing at all if nothing changed. Each budget of `work` is that of one diff."""
    folded = hunks(line_diff(old, new, work=work), context_lines=3)
    share = work // max(1, sum(len(hunk.parts) for hunk in folded))
    return [LineHunk(hunk.skipped, tuple(_lines(hunk.parts, share))) for hunk in folded]


def _lines(parts: Iterable[tuple[PartOp, str]], work: int) -> Iterator[Line]:
    """Taken out and put in its place stand beside each other: they are compared by words."""
    waiting = deque(parts)
    while waiting:
        op, text = waiting.popleft()
        if op == "delete" and waiting and waiting[0][0] == "insert":
            segments = word_diff(text, waiting.popleft()[1], work=work)
            yield from _cut("delete", [(segment.op != "equal", segment.old) for segment in segments])
            yield from _cut("insert", [(segment.op != "equal", segment.new) for segment in segments])
        else:
            yield from _cut(op, [(False, text)])


def _cut(op: PartOp, pieces: Iterable[tuple[bool, str]]) -> Iterator[Line]:
    line: list[tuple[bool, str]] = []
    for differs, text in pieces:
        for part in LINE.findall(text):
            line.append((differs, part))
            if part.endswith("\n"):
                yield Line(op, tuple(line))
                line = []
    if line:
        yield Line(op, tuple(line))
