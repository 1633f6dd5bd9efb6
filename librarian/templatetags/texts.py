"""Texts of notes in templates: compared, rendered, with their tags."""

from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.safestring import SafeString

from librarian.changes import Chip, body_change
from librarian.changes import tag_chips as chips_of
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
