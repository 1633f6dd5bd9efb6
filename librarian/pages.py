"""The review pages of the admin: the queue, a run, one operation with its edit form; decisions and undo.

Every change goes through `librarian.services`, as the API's do. A form is answered with the card of its operation
to htmx, and with a redirect to the page it came from to everybody else.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from automation.models import Run
from kjxlkj.errors import BadRequest, Forbidden, NotFound
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import Right, may, scoped
from kjxlkj.workspaces.scoped_admin import actor
from librarian import services, undoing
from librarian.forms import EditForm, merged_text, read_decisions, read_ids
from librarian.models import Operation, OperationStatus
from librarian.page_frame import common, from_htmx, refused, where_next
from librarian.page_frame import page as framed
from librarian.presentation import Card, cards, for_cards
from librarian.queue import changes_for_later, pending_for, queue_page, under_way_for
from librarian.run_page import run_page
from librarian.services import Decision, Outcome

_NAMED = 10  # of many that went well, told with their names
_DONE = {
    OperationStatus.APPLIED: "Accepted",
    OperationStatus.REJECTED: "Rejected",
    OperationStatus.REVERTED: "Undone",
    OperationStatus.PENDING: "Waits again",
}


@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    page = queue_page(user, request.GET)
    context = {"title": "Review", "page": page}
    if not page.entries:
        context["under_way"] = under_way_for(user).count()
    response = framed(request, "review/queue.html", context)
    if page.entries and from_htmx(request):
        # A page that waited for proposals was made without keys and ticks: it begins anew.
        response["HX-Refresh"] = "true"
    return response


@require_GET
def run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    user = actor(request)
    runs = Run.objects.select_related("rule", "workspace", "report", "created_by", "triggering_event")
    found = get_object_or_404(scoped(runs, user), pk=run_id)
    page = run_page(found, request.GET)
    shown = cards(page.operations, user, later=changes_for_later(page.operations))
    context = {
        "title": f"Run of “{found.rule.name}”",
        "page": page,
        "run": found,
        "report": getattr(found, "report", None),
        "cards": shown,
        "may_decide": any(card.may_decide and card.is_pending for card in shown),
        "may_undo": bool(page.counts.get(OperationStatus.APPLIED)) and may(user, found.workspace, Right.WRITE),
    }
    return framed(request, "review/run.html", context)


@require_GET
def operation(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """One card, alone: where notes' histories lead."""
    user = actor(request)
    (card,) = cards(_operations(user, [operation_id]), user)
    return framed(request, "review/operation.html", {"title": str(card.operation), "cards": [card]})


@require_GET
def change(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """What it changes, alone: for a card that came without, when it is looked at."""
    user = actor(request)
    (card,) = cards(_operations(user, [operation_id]), user)
    return render(request, "review/_loaded.html", {"card": card, "operation": card.operation, "change": card.change})


@require_GET
def edit(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    user = actor(request)
    (card,) = cards(_operations(user, [operation_id]), user)
    if not (card.may_decide and card.is_pending and card.can_edit):
        return refused(request, "This operation cannot be edited, or no longer.", status=409)
    return _edit_page(
        request, card, EditForm(card.operation, merged=merged_text(card.operation) if card.is_stale else None)
    )


@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    """Accept, reject, or save and accept what a form names: one operation or several."""
    user = actor(request)
    try:
        ids = read_ids(request.POST)
        found = _operations(user, ids)
        decisions = read_decisions(request.POST, found)
        if "edit" in request.POST:
            return _decide_edited(request, found, decisions)
        outcomes = services.review(decisions, actor=user)
    except BadRequest as error:
        return refused(request, error.message, status=400)
    except NotFound as error:
        raise Http404(error.message) from error
    except Forbidden as error:
        return refused(request, error.message, status=403)
    return _answer(request, outcomes)


@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    try:
        outcomes = undoing.undo(_operations(user, read_ids(request.POST)), actor=user)
    except BadRequest as error:
        return refused(request, error.message, status=400)
    except Forbidden as error:
        return refused(request, error.message, status=403)
    return _answer(request, outcomes)


@require_POST
def undo_run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    user = actor(request)
    found = get_object_or_404(scoped(Run.objects.select_related("workspace"), user), pk=run_id)
    try:
        outcomes = undoing.undo_run(found, actor=user)
    except Forbidden as error:
        return refused(request, error.message, status=403)
    _tell(request, outcomes)
    return redirect("admin:review_run", run_id)


@require_GET
def front_door(request: HttpRequest) -> HttpResponseRedirect:
    """The site's root: to what waits for review, or is about to; else to the overview."""
    user = request.user
    waiting = isinstance(user, User) and (pending_for(user).exists() or under_way_for(user).exists())
    return redirect("admin:review_queue" if waiting else "admin:index")


# --- Steps ----------------------------------------------------------------------------------------


def _operations(user: User, ids: Sequence[UUID]) -> list[Operation]:
    """In the order of `ids`; 404 if one of them is not there for this person."""
    found = {each.pk: each for each in scoped(for_cards(Operation.objects.filter(pk__in=ids)), user)}
    if len(found) < len(ids):
        raise Http404("There is no such operation here.")
    return [found[pk] for pk in ids]


def _decide_edited(request: HttpRequest, found: Sequence[Operation], decisions: Sequence[Decision]) -> HttpResponse:
    """What cannot be accepted as edited is shown again as typed."""
    user = actor(request)
    (card,) = cards(found[:1], user)
    form = EditForm(card.operation, request.POST)
    if not form.is_valid():
        return _edit_page(request, card, form)
    decision = replace(decisions[0], edits=form.edits())
    (outcome,) = services.review([decision], actor=user)
    if outcome.code and outcome.status == OperationStatus.PENDING:
        (card,) = cards(_operations(user, [card.operation.id]), user)
        if outcome.code == "VERSION_CONFLICT":
            # Saved once more as it is, it would undo what the person has not seen.
            typed = form.cleaned_data.get("body_markdown")
            merged = merged_text(card.operation, typed, decision.base_version)
            form = EditForm(card.operation, request.POST, merged=merged)
            form.is_valid()
        form.add_error(None, outcome.message)
        return _edit_page(request, card, form)
    return _answer(request, [outcome])


def _answer(request: HttpRequest, outcomes: Sequence[Outcome]) -> HttpResponse:
    if not from_htmx(request):
        _tell(request, outcomes)
        return redirect(where_next(request))
    user = actor(request)
    found = _operations(user, [outcome.operation.id for outcome in outcomes])
    why = {outcome.operation.id: outcome.message for outcome in outcomes if outcome.code}
    # What is done is told in a line of its card, without what it changed.
    done = (outcome for outcome in outcomes if not outcome.code and outcome.status != OperationStatus.PENDING)
    later = {outcome.operation.id for outcome in done}
    context = {"cards": cards(found, user, why, later), "announcement": " ".join(map(_words, outcomes))}
    return render(request, "review/_answer.html", context | common(request))


def _tell(request: HttpRequest, outcomes: Sequence[Outcome]) -> None:
    """Each by name; of many, those that were done in one line."""
    done = [outcome for outcome in outcomes if not outcome.code]
    if len(done) > _NAMED:
        messages.success(request, f"{_DONE[OperationStatus(done[0].status)]}: {len(done):,} operations.")
        outcomes = [outcome for outcome in outcomes if outcome.code]
    for outcome in outcomes:
        level = messages.WARNING if outcome.code else messages.SUCCESS
        messages.add_message(request, level, _words(outcome))


def _words(outcome: Outcome) -> str:
    what = f"{outcome.operation.get_kind_display()}, {outcome.operation.target_path or outcome.operation.title}"
    if outcome.code:
        return f"Not done: {what}. {outcome.message}"
    done = _DONE[OperationStatus(outcome.status)]
    return f"{done}: {what}."


def _edit_page(request: HttpRequest, card: Card, form: EditForm) -> HttpResponse:
    context = {"title": "Edit and accept", "card": card, "form": form}
    return framed(request, "review/_card.html" if from_htmx(request) else "review/edit.html", context)
