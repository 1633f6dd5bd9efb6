"""Texts of notes in templates: compared, rendered, with their tags."""

from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString

from librarian.changes import Chip, body_change
from librarian.changes import tag_chips as chips_of
from librarian.line_diff import Line
from librarian.preview import render_preview

register = template.Library()


@register.inclusion_tag("review/_text_change.html")
def text_diff(old: str, new: str) -> dict[str, Any]:
    return {"change": body_change(old, new)}


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
