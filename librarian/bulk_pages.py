"""Deciding many operations with one press, from a group, from ticked cards or from all that pass the filters.

Every form names exactly the operations that the person saw. The answer is a batch: what was done, what was not and
why, and the undo of it all.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from kjxlkj.errors import BadRequest, Forbidden, Invalid, NotFound
from kjxlkj.workspaces.roles import scoped
from kjxlkj.workspaces.scoped_admin import actor
from librarian import batches as services
from librarian.bulk import batch_page, bulk_page, latest_batches, with_messages
from librarian.forms import REJECT_REASONS, read_ids, read_reason, read_seconds, read_via
from librarian.groups import MOST_IN_A_CARD, group_words, rest_of
from librarian.models import Batch, Operation, Via
from librarian.page_frame import common, from_htmx, page, refused, where_next
from librarian.presentation import writable_workspaces
from librarian.queue import pending_for
from librarian.queue_filters import Filters
from librarian.services import APPLY, REJECT, Outcome


@require_GET
def alike(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """The members of a group after this one, for the card that shows the first of them."""
    user = actor(request)
    last = get_object_or_404(scoped(Operation.objects.all(), user), pk=operation_id)
    pending = Filters.read(request.GET).apply(pending_for(user), timezone.now())
    group = rest_of(pending, last, writable_workspaces(user))
    return render(request, "review/_alike.html", {"group": group, "most": MOST_IN_A_CARD})


@require_GET
def bulk(request: HttpRequest) -> HttpResponse:
    """What would be decided together, before it is: how many, a sample with its changes, and a tick for each."""
    user = actor(request)
    decision = REJECT if request.GET.get("decision") == REJECT else APPLY
    if not Filters.read(request.GET).as_query():
        return refused(request, "Narrow the queue by a filter first: nobody can look at all of it at once.", status=400)
    if not writable_workspaces(user):
        return refused(request, "You may look at proposals, but not decide them.", status=403)
    found = bulk_page(user, request.GET, decision)
    after = f"{reverse('admin:review_bulk')}?{found.next_query}"
    back = f"{reverse('admin:review_queue')}?{found.query}"
    context = {
        "title": "Accept many" if decision == APPLY else "Reject many",
        "page": found,
        "decision": decision,
        "most": services.MOST,
        "reject_reasons": REJECT_REASONS,
        "back": back,
        "here": after if found.next_query else back,
    }
    return page(request, "review/bulk.html", context)


@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    try:
        decision, reason = _read_answer(request.POST)
        batch, outcomes = services.decide_together(
            read_ids(request.POST),
            decision,
            actor=user,
            reason=reason,
            via=read_via(request.POST, Via.KEY, Via.CLICK, Via.BULK) or Via.BULK,
            seconds=read_seconds(request.POST),
        )
    except (BadRequest, Invalid) as error:
        return refused(request, error.message, status=400)
    except NotFound as error:
        raise Http404(error.message) from error
    except Forbidden as error:
        return refused(request, error.message, status=403)
    if from_htmx(request):
        return _card(request, batch, _told(batch, outcomes))
    return redirect(f"{reverse('admin:review_batch', args=[batch.pk])}?{urlencode({'next': where_next(request)})}")


@require_GET
def batch(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    return _page(request, _batch(request, batch_id))


@require_GET
def batches(request: HttpRequest) -> HttpResponse:
    context = {"title": "What I decided at once", "batches": latest_batches(actor(request))}
    return page(request, "review/batches.html", context)


@require_POST
def undo(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """Answered with the page itself, which tells of each operation what the undo came to."""
    found = _batch(request, batch_id)
    try:
        outcomes = services.undo_batch(found, actor=actor(request))
    except (Forbidden, NotFound) as error:
        return refused(request, error.message, status=403)
    if from_htmx(request):
        return _card(request, found, _told(found, outcomes, undone=True), outcomes)
    return _page(request, found, outcomes)


# --- Steps ----------------------------------------------------------------------------------------


def _batch(request: HttpRequest, batch_id: UUID) -> Batch:
    return get_object_or_404(services.visible_batches(actor(request)), pk=batch_id)


def _read_answer(posted: QueryDict) -> tuple[str, str]:
    """Decision and reason. A reason alone is a rejection: that is what the buttons of reasons send."""
    reason = read_reason(posted)
    decision = posted.get("decision") or (REJECT if reason else "")
    if decision not in (APPLY, REJECT):
        raise BadRequest("BAD_REQUEST", "decision: use apply or reject.")
    return decision, reason if decision == REJECT else ""


def _card(request: HttpRequest, found: Batch, announcement: str, undone: list[Outcome] | None = None) -> HttpResponse:
    context = {**_context(request, found, undone), "announcement": announcement}
    return render(request, "review/_batch_card.html", common(request) | context)


def _page(request: HttpRequest, found: Batch, undone: list[Outcome] | None = None) -> HttpResponse:
    here = where_next(request)
    on_itself = here.startswith(request.path)
    context = {
        **_context(request, found, undone),
        "title": "Decided at once",
        "here": reverse("admin:review_queue") if on_itself else here,
        "goes_on": here.startswith(reverse("admin:review_bulk")),
    }
    return page(request, "review/batch.html", context)


def _context(request: HttpRequest, found: Batch, undone: list[Outcome] | None) -> Mapping[str, Any]:
    why = {outcome.operation.pk: outcome.message for outcome in undone or () if outcome.code}
    kept = Operation.objects.filter(pk__in=why)
    return {
        "answers": batch_page(found, actor(request)),
        "undone": undone,
        "undone_count": len(undone or ()) - len(why),
        "kept": with_messages(kept, why) if why else [],
        "what": _what(found),
    }


def _what(found: Batch) -> str:
    """What was proposed, where it was the same for all."""
    keys = set(found.operations.values_list("kind", "change_key").distinct()[:2])
    if len(keys) != 1:
        return ""
    kind, change_key = keys.pop()
    return group_words(kind, change_key) if change_key else ""


def _told(found: Batch, outcomes: list[Outcome], *, undone: bool = False) -> str:
    failed = sum(bool(outcome.code) for outcome in outcomes)
    done = "undone" if undone else found.get_decision_display()
    return f"{len(outcomes) - failed} {done}, {failed} not." if failed else f"{len(outcomes)} {done}."
