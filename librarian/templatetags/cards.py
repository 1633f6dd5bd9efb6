"""What every card of a review page repeats, made without a template of its own: twenty-five of them make the page."""

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import islice
from typing import Any
from uuid import UUID

from django import template
from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from librarian import side_by_side as two_columns
from librarian.diff import Hunk
from librarian.forms import REJECT_REASONS

register = template.Library()

_NOBODY = UUID(int=0)
_MOST_ROWS = 5_000

_SEEN = str.maketrans({" ": "·", "\t": "⇥\t", "\r": "␍", "\n": "↵\n", "\u00a0": "⍽"})


@cache
def _around(name: str) -> tuple[str, str]:
    before, _, after = reverse(f"admin:{name}", args=[_NOBODY]).partition(str(_NOBODY))
    return before, after


@register.simple_tag
def page_of(name: str, row_id: UUID) -> str:
    """The address of the admin's page `name` of one row: `{% url %}`, looked up once."""
    before, after = _around(name)
    return f"{before}{row_id}{after}"


@register.simple_tag(takes_context=True)
def decision_fields(context: Mapping[str, Any]) -> SafeString:
    """What each form of a card sends along: which operation, and which text of its note the person saw."""
    card = context["card"]
    fields = format_html(
        '<input type="hidden" name="csrfmiddlewaretoken" value="{}">'
        '<input type="hidden" name="operation" value="{}"><input type="hidden" name="next" value="{}">',
        context["csrf_token"],
        card.operation.id,
        context["here"],
    )
    if card.note is not None:
        fields += format_html('<input type="hidden" name="base_version" value="{}">', card.note.version)
    return fields + measured_fields("click")


@register.simple_tag
def measured_fields(via: str) -> SafeString:
    """How it was decided, and after how long: the page's scripts fill that in, where the instance wants to know."""
    if not settings.REVIEW_TIMES:
        return SafeString()
    return format_html('<input type="hidden" name="via" value="{}"><input type="hidden" name="seconds" value="">', via)


@register.simple_tag
@cache
def reject_presets() -> SafeString:
    buttons = ((reason, number, reason) for number, reason in enumerate(REJECT_REASONS, start=1))
    button = '<button type="submit" name="reject_reason" value="{}"><kbd aria-hidden="true">{}</kbd>{}</button>'
    return format_html_join("", button, buttons)


# --- Diffs: a tag for each word that changes, so they too are made without templates ------------------


@register.simple_tag
def side_by_side(hunks: Iterable[Hunk]) -> Mapping[str, Any]:
    """The first rows, and whether there are more: a browser takes its time for each."""
    rows = list(islice(two_columns.side_by_side(hunks), _MOST_ROWS + 1))
    return {"rows": rows[:_MOST_ROWS], "cut": len(rows) > _MOST_ROWS}


@register.simple_tag
def changed(op: str, text: str) -> SafeString:
    """White space that comes or goes is given a face."""
    return format_html("<del>{}</del>" if op == "delete" else "<ins>{}</ins>", _seen(text))


@register.simple_tag
def line(parts: two_columns.Line | None) -> SafeString:
    """One line of a column; its line end gives an empty one its height."""
    words = (text if op == "equal" else changed(op, text) for op, text in parts or ())
    return format_html_join("", "{}", ((word,) for word in words))


def _seen(text: str) -> str:
    return text.translate(_SEEN) if text.isspace() else text
