"""What a card shows when it is asked for more: its note whole, both sides of a diff, the three versions of a text.

Each is a page of its own, and to htmx and the scripts of the cards its inner part alone.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from kjxlkj.notes.addresses import with_addresses
from kjxlkj.notes.history import state_at
from kjxlkj.workspaces.roles import scoped
from kjxlkj.workspaces.scoped_admin import actor
from librarian.changes import MOST_PREVIEWED, body_change
from librarian.models import Operation
from librarian.page_frame import from_htmx, page, refused
from librarian.presentation import Card, cards, for_cards


@require_GET
def note(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """The note as it is now, rendered, or as `?as=source`."""
    card = _card(request, operation_id)
    if card.note is None or card.note.deleted_at:
        return _missing(request, "There is no such note now.")
    text = card.note.body
    as_source = request.GET.get("as") == "source"
    beginning = text[:MOST_PREVIEWED]
    context = {
        "as_source": as_source,
        "text": beginning if as_source else with_addresses(beginning, card.note),
        "cut": len(text) > MOST_PREVIEWED,
    }
    return _page(request, "note", card, f"The whole note “{card.name}”", context)


@require_GET
def side(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """The change of a text in two columns."""
    card = _card(request, operation_id)
    if not card.change.hunks:
        return _missing(request, "This operation changes no text.")
    return _page(request, "side", card, f"Side by side: “{card.name}”", {"hunks": card.change.hunks})


@require_GET
def versions(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """The text that the librarian read, the note as it is now, and the proposal, each against the first."""
    card = _card(request, operation_id)
    operation, now = card.operation, card.note
    if now is None or not card.has_versions:
        return _missing(request, "There are no three versions of this.")
    base = state_at(now, operation.base_version or 1)["body"]
    context = {
        "base": base[:MOST_PREVIEWED],
        "cut": len(base) > MOST_PREVIEWED,
        "now": body_change(base, now.body),
        "proposed": body_change(base, operation.body_markdown),
    }
    return _page(request, "versions", card, f"Three versions of “{card.name}”", context)


# --- Steps ----------------------------------------------------------------------------------------


def _card(request: HttpRequest, operation_id: UUID) -> Card:
    user = actor(request)
    found = get_object_or_404(scoped(for_cards(Operation.objects.filter(pk=operation_id)), user))
    return cards([found], user)[0]


def _missing(request: HttpRequest, message: str) -> HttpResponse:
    return refused(request, message, status=409)


def _page(request: HttpRequest, name: str, card: Card, title: str, context: Mapping[str, Any]) -> HttpResponse:
    part = f"review/_{name}.html"
    context = {**context, "card": card, "operation": card.operation, "title": title, "part": part}
    return page(request, part if from_htmx(request) else "review/reading.html", context)
