"""What every card of a review page repeats, made without a template of its own: twenty-five of them make the page."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from librarian.forms import REJECT_REASONS

register = template.Library()

_NOBODY = UUID(int=0)


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
    if card.note is None:
        return fields
    return fields + format_html('<input type="hidden" name="base_version" value="{}">', card.note.version)


@register.simple_tag
@cache
def reject_presets() -> SafeString:
    buttons = ((reason, reason) for reason in REJECT_REASONS)
    return format_html_join("", '<button type="submit" name="reject_reason" value="{}">{}</button>', buttons)
