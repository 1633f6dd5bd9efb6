"""Three texts into one, by lines: what a person changed in a note, and what a proposal made of the same base would."""

from collections.abc import Iterator
from dataclasses import dataclass

from kjxlkj.errors import field_error
from librarian.diff import LINE, word_diff

# Worded so that no text holds one by chance: a note may well speak of the markers of other tools.
PRESENT, OR, PROPOSED = "<<<<<<< the note now", "======= or =======", ">>>>>>> the proposal"


@dataclass(frozen=True, slots=True)
class Merged:
    text: str
    conflicts: int
    """Places where both changed the same lines: both stand there, between markers."""


def merge(base: str, present: str, proposed: str) -> Merged:
    """Both changes of `base` together. Line ends become LF; the work is that of two diffs."""
    texts = [text.replace("\r\n", "\n") for text in (base, present, proposed)]
    lines, present_lines, proposed_lines = (LINE.findall(text) for text in texts)
    in_present, in_proposed = dict(_kept(texts[0], texts[1])), dict(_kept(texts[0], texts[2]))
    merged: list[str] = []
    conflicts = start = present_start = proposed_start = 0
    for place in [*sorted(in_present.keys() & in_proposed.keys()), len(lines)]:
        present_end = in_present.get(place, len(present_lines))
        proposed_end = in_proposed.get(place, len(proposed_lines))
        between = (
            "".join(lines[start:place]),
            "".join(present_lines[present_start:present_end]),
            "".join(proposed_lines[proposed_start:proposed_end]),
        )
        text, clash = _resolved(*between)
        conflicts += clash
        merged += [text, *lines[place : place + 1]]
        start, present_start, proposed_start = place + 1, present_end + 1, proposed_end + 1
    return Merged("".join(merged), conflicts)


def check_resolved(text: str) -> None:
    """Raises `Invalid` CONFLICT_MARKERS if a place is left where two versions stand."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.rstrip() in (PRESENT, OR, PROPOSED):
            raise field_error(
                "body_markdown",
                f"body_markdown: line {number} is still “{line.rstrip()}”. Keep what is right of both versions and "
                "take the three marker lines out.",
                code="CONFLICT_MARKERS",
                line=number,
            )


def _resolved(base: str, present: str, proposed: str) -> tuple[str, bool]:
    """What stands for the lines of `base`, and whether a person has to choose."""
    if present == proposed or proposed == base:
        return present, False
    if present == base:
        return proposed, False
    marked = [f"{PRESENT}\n", _ended(present), f"{OR}\n", _ended(proposed), f"{PROPOSED}\n"]
    return "".join(marked), True


def _ended(text: str) -> str:
    return f"{text}\n" if text and not text.endswith("\n") else text


def _kept(base: str, other: str) -> Iterator[tuple[int, int]]:
    """The lines of `base` that stand in `other` as well, whole: their numbers in both, rising in both."""
    line = other_line = 0
    at_start = True  # whether both texts begin a line where the segment begins
    segments = word_diff(base, other)
    for index, segment in enumerate(segments):
        if segment.op == "equal":
            pieces = LINE.findall(segment.old)
            is_last = index == len(segments) - 1
            for number, piece in enumerate(pieces):
                ends = piece.endswith("\n")
                if (number or at_start) and (ends or is_last):
                    yield line, other_line
                line, other_line = line + ends, other_line + ends
            at_start = segment.old.endswith("\n")
        else:
            line += segment.old.count("\n")
            other_line += segment.new.count("\n")
            starts = (_starts_line(segment.old, at_start), _starts_line(segment.new, at_start))
            at_start = all(starts)


def _starts_line(text: str, before: bool) -> bool:
    return text.endswith("\n") if text else before
