"""Word diff of two Markdown texts with a bounded amount of work, and its folding for display.

`difflib` alone takes seconds where many words repeat. Here equal ends are trimmed, words that occur once on
both sides anchor the rest (patience diff), and difflib sees only gaps whose worst case the budget still covers;
a gap beyond it is shown as one replacement. First by lines, then by words within the lines that changed.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from librarian.matching import WORK, Block, Matcher, common_ends

Op = Literal["equal", "delete", "insert", "replace"]
PartOp = Literal["equal", "delete", "insert"]
Pair = tuple[str, str]
"""What stands at one place in the old and in the new text."""

_PAIR_STEPS = 400
"""What it costs in steps to take one changed place apart, difflib aside."""

MOST_SEGMENTS = 10_000
"""More places are not taken apart: nobody reads them, and each costs a page a tag of its own."""

LINE = re.compile(r"[^\n]*\n|[^\n]+")
"""A line with its end, or the last without one."""

# No spaces part the words of Chinese and Japanese: each character of theirs counts as a word.
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = rf"[{_CJK}]|[^\W{_CJK}]+|[^\w\s]"
_SPACED_WORD = re.compile(rf"(?:{_WORD})[^\S\n]*|\s+")
_PIECE = re.compile(rf"{_WORD}|\s+")


class Segment(NamedTuple):
    """`old` and `new` are the texts of both sides: the same if equal, one of them empty if not a replacement."""

    op: Op
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """Changes close to each other, with the lines around them."""

    skipped: int
    """Equal lines left out before it."""
    parts: tuple[tuple[PartOp, str], ...]
    """Empty only in the last one, which then tells of the lines left out at the end."""


def only_whitespace_changed(old: str, new: str) -> bool:
    return old != new and "".join(old.split()) == "".join(new.split())


def word_diff(old: str, new: str, *, work: int = WORK) -> list[Segment]:
    """The segments' old sides make up `old`, their new sides `new`; neighbours differ in `op`.

    Where these would be more than `MOST_SEGMENTS`: of whole lines, or of all that lies between the equal ends.
    """
    word_matcher = Matcher(work)
    pairs: list[Pair] = []
    for pair in _line_pairs(old, new, work):
        if pair[0] and pair[1] and pair[0] != pair[1]:
            pairs += _by_words(*pair, word_matcher)
        else:
            pairs.append(pair)
    found = list(_merged(pairs))
    if len(found) > MOST_SEGMENTS:
        found = list(_line_pairs(old, new, work))
    if len(found) > MOST_SEGMENTS:
        found = list(_merged(_ends_apart(old, new)))
    return [Segment(_op(*pair), *pair) for pair in found]


def line_diff(old: str, new: str, *, work: int = WORK) -> list[Segment]:
    """As `word_diff`, of whole lines only."""
    return [Segment(_op(*pair), *pair) for pair in _line_pairs(old, new, work)]


def _ends_apart(old: str, new: str) -> Iterator[Pair]:
    """The lines that both begin with, what lies between, the lines that both end with."""
    a, b = LINE.findall(old), LINE.findall(new)
    head, tail = common_ends(a, b)
    start, end = "".join(a[:head]), "".join(a[len(a) - tail :])
    yield start, start
    yield "".join(a[head : len(a) - tail]), "".join(b[head : len(b) - tail])
    yield end, end


def _line_pairs(old: str, new: str, work: int) -> Iterator[Pair]:
    old_lines, new_lines = LINE.findall(old), LINE.findall(new)
    return _merged(_pairs(old_lines, new_lines, Matcher(work).blocks(old_lines, new_lines)))


def limited_diff(old: str, new: str, characters: int) -> tuple[list[Segment], bool]:
    """The word diff, and whether both texts had to be cut off: `characters` after the first difference, at the soonest
    where they differ over more than that."""
    head = _same_start(old, new)
    tail = min(_same_start(old[head:][::-1], new[head:][::-1]), min(len(old), len(new)) - head)
    if max(len(old), len(new)) - head - tail <= characters:
        return word_diff(old, new), False
    return word_diff(old[: head + characters], new[: head + characters]), True


def _same_start(a: str, b: str) -> int:
    lengths = range(1, min(len(a), len(b)) + 1)
    return bisect_left(lengths, True, key=lambda length: a[:length] != b[:length])


def hunks(segments: Iterable[Segment], context_lines: int = 2) -> list[Hunk]:
    """Fold equal stretches down to the lines around each change; nothing at all if nothing changed."""
    segments = list(segments)
    last = len(segments) - 1
    folded: list[Hunk] = []
    skipped, parts = 0, list[tuple[PartOp, str]]()
    for index, segment in enumerate(segments):
        if segment.op != "equal":
            parts += [("delete", segment.old)] if segment.old else []
            parts += [("insert", segment.new)] if segment.new else []
            continue
        before = segments[index - 1] if index else None
        head, hidden, tail = _fold(segment.old, before, index == last, context_lines)
        parts += [("equal", head)] if head else []
        if hidden:
            folded += [Hunk(skipped, tuple(parts))] if parts else []
            skipped, parts = hidden, []
        parts += [("equal", tail)] if tail else []
    if last == 0 and segments[0].op == "equal":
        return []
    return [*folded, Hunk(skipped, tuple(parts))] if parts or skipped else folded


def _fold(text: str, before: Segment | None, is_last: bool, context_lines: int) -> tuple[str, int, str]:
    """What to show after the change before, how many lines to hide, what to show before the next change."""
    lines: list[str] = LINE.findall(text)
    # A change that ends within a line leaves the rest of that line to be shown besides the context.
    head = 0
    if before:
        head = context_lines + (not (before.new or before.old).endswith("\n"))
    tail = 0 if is_last else context_lines + (not text.endswith("\n"))
    hidden = len(lines) - head - tail
    # A fold takes a line itself: it has to save more than that.
    if hidden < 2:
        return text, 0, ""
    return "".join(lines[:head]), hidden, "".join(lines[head + hidden :])


def _by_words(old: str, new: str, matcher: Matcher) -> Iterator[Pair]:
    if not matcher.affords(_PAIR_STEPS):
        yield old, new
        return
    old_words, new_words = _SPACED_WORD.findall(old), _SPACED_WORD.findall(new)
    # Spaces go with the word before them, which halves the work, but do not make it another word.
    bare_old, bare_new = [w.rstrip() or w for w in old_words], [w.rstrip() or w for w in new_words]
    for pair in _merged(_pairs(old_words, new_words, matcher.blocks(bare_old, bare_new))):
        if pair[0] != pair[1] and matcher.affords(_PAIR_STEPS):
            yield from _trimmed(*pair)
        else:
            yield pair


def _pairs(a: list[str], b: list[str], blocks: Iterable[Block]) -> Iterator[Pair]:
    """The gaps between the blocks, and the blocks; items of a block may differ in the spaces at their end."""
    end_a = end_b = 0
    for i, j, length in [*blocks, (len(a), len(b), 0)]:
        yield "".join(a[end_a:i]), "".join(b[end_b:j])
        end_a, end_b = i + length, j + length
        if a[i:end_a] == b[j:end_b]:
            equal = "".join(a[i:end_a])
            yield equal, equal
            continue
        for x, y in zip(a[i:end_a], b[j:end_b], strict=True):
            if x == y:
                yield x, y
            else:
                bare = x.rstrip()
                yield bare, bare
                yield x[len(bare) :], y[len(bare) :]


def _trimmed(old: str, new: str) -> Iterable[Pair]:
    """A replacement without the words and spaces at its ends that are the same on both sides."""
    if not (old and new) or (old[0] != new[0] and old[-1] != new[-1]):
        return ((old, new),)
    if old.isspace() and new.isspace():
        return ((old, new),)
    a, b = _PIECE.findall(old), _PIECE.findall(new)
    head, tail = common_ends(a, b)
    start, end = "".join(a[:head]), "".join(a[len(a) - tail :])
    return (
        (start, start),
        ("".join(a[head : len(a) - tail]), "".join(b[head : len(b) - tail])),
        (end, end),
    )


def _merged(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Without empty pairs; equal neighbours joined, and changed ones."""
    equal, olds, news = True, list[str](), list[str]()
    for old, new in pairs:
        if not (old or new):
            continue
        if (old == new) != equal:
            if olds:
                yield "".join(olds), "".join(news)
            equal, olds, news = not equal, [], []
        olds.append(old)
        news.append(new)
    if olds:
        yield "".join(olds), "".join(news)


def _op(old: str, new: str) -> Op:
    if old == new:
        return "equal"
    if old and new:
        return "replace"
    return "delete" if old else "insert"
