"""A note that is too long for a request is cut where a reader would stop: before a heading."""

import re
from collections.abc import Sequence

from librarian.planning.tokens import estimated_tokens

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+\S")
_HEADINGS_LISTED = 30
_HEADING_CHARACTERS = 80
# What the line takes that tells that the note goes on.
_TOLD_TOKENS = 40


def cut_at_heading(body: str, most_tokens: int) -> tuple[str, bool]:
    """The text, or as much of it as fits into so many tokens, and whether that is less than the whole."""
    if estimated_tokens(body) <= most_tokens:
        return body, False
    lines = body.splitlines(keepends=True)
    headings, paragraphs = _places(lines)
    budget = max(0, most_tokens - _TOLD_TOKENS)
    fitting = _fitting(lines, budget)
    end = next((place for place in reversed(headings) if 0 < place <= fitting), 0)
    end = end or next((place for place in reversed(paragraphs) if 0 < place <= fitting), 0) or fitting
    kept = "".join(lines[:end]) or _start(body, budget)
    return kept.rstrip() + _goes_on(lines, [place for place in headings if place >= end], budget), True


def _places(lines: Sequence[str]) -> tuple[list[int], list[int]]:
    """Lines before which a text may be cut: headings, and beginnings of paragraphs; none within a fence."""
    headings, paragraphs, fence = [], [], ""
    for number, line in enumerate(lines):
        marker = _FENCE.match(line)
        if fence:
            if marker and marker[1].startswith(fence) and not line.strip(" \t\r\n`~"):
                fence = ""
            continue
        if _HEADING.match(line):
            headings.append(number)
        elif number and not lines[number - 1].strip() and line.strip():
            paragraphs.append(number)
        if marker:
            fence = marker[1]
    return headings, paragraphs


def _fitting(lines: Sequence[str], most_tokens: int) -> int:
    """How many lines fit."""
    used = 0
    for number, line in enumerate(lines):
        used += estimated_tokens(line)
        if used > most_tokens:
            return number
    return len(lines)


def _start(body: str, most_tokens: int) -> str:
    """Of a text without a place to cut it at: as many characters as surely fit."""
    kept = body[: 3 * most_tokens]
    while kept and estimated_tokens(kept) > most_tokens:
        kept = kept[: len(kept) * 3 // 4]
    return kept


def _goes_on(lines: Sequence[str], headings: Sequence[int], most_tokens: int) -> str:
    told = "\n\n[The note goes on; the rest was left out."
    listed: list[str] = []
    for place in headings[:_HEADINGS_LISTED]:
        heading = lines[place].strip(" #\t\r\n")[:_HEADING_CHARACTERS]
        if estimated_tokens("; ".join([*listed, heading])) > min(_TOLD_TOKENS, most_tokens) // 2:
            break
        listed.append(heading)
    return f"{told} Its further headings: {'; '.join(listed)}]\n" if listed else f"{told}]\n"
