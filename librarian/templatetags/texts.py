"""Texts of notes in templates: compared, rendered, with their tags."""

from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString

from librarian.changes import Chip
from librarian.changes import tag_chips as chips_of
from librarian.diff import hunks, limited_diff, only_whitespace_changed
from librarian.line_diff import Line
from librarian.preview import render_preview

register = template.Library()


# More than that nobody reads, and a server should not write.
_COMPARED = 100_000


@register.inclusion_tag("notes/_text_change.html")
def text_diff(old: str, new: str, name: str, label: str) -> dict[str, Any]:
    segments, cut = limited_diff(old, new, _COMPARED)
    return {
        "name": name,
        "label": label,
        "hunks": hunks(segments),
        "only_whitespace": only_whitespace_changed(old, new),
        "cut": _COMPARED if cut else None,
    }


@register.simple_tag
def tag_chips(old: Sequence[str], new: Sequence[str]) -> list[Chip]:
    return chips_of(old, new)


@register.filter
def preview(markdown: str) -> SafeString:
    return render_preview(markdown)


@register.filter
def marked(line: Line) -> SafeString:
    """A line of a diff, made without a template: a long answer has thousands of pieces."""
    return SafeString("".join(f"<b>{escape(text)}</b>" if differs else escape(text) for differs, text in line.pieces))
