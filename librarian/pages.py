"""The review pages of the admin: the queue, a run, one operation with its edit form; decisions and undo.

Every change goes through `librarian.services`, as the API's do. A form is answered with the card of its operation
to htmx, and with a redirect to the page it came from to everybody else.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from automation.models import Run
from kjxlkj.errors import BadRequest, Forbidden, NotFound
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import Right, may, scoped
from librarian import services
from librarian.forms import EditForm, read_decisions, read_ids
from librarian.models import Operation, OperationStatus
from librarian.presentation import Card, cards, for_cards
from librarian.queue import pending_for, queue_page, run_page, under_way_for
from librarian.services import Decision, Outcome


@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    page = queue_page(user, request.GET)
    context = {"title": "Review", "page": page, "cards": cards(page.operations, user)}
    if not page.operations:
        context["under_way"] = under_way_for(user).count()
    return _page(request, "review/queue.html", context)


@require_GET
def run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    user = _user(request)
    runs = Run.objects.select_related("rule", "workspace", "report", "created_by", "triggering_event")
    found = get_object_or_404(scoped(runs, user), pk=run_id)
    page = run_page(found, request.GET)
    context = {
        "title": f"Run of “{found.rule.name}”",
        "page": page,
        "run": found,
        "report": getattr(found, "report", None),
        "cards": cards(page.operations, user),
        "may_undo": bool(page.counts.get(OperationStatus.APPLIED)) and may(user, found.workspace, Right.WRITE),
    }
    return _page(request, "review/run.html", context)


@require_GET
def operation(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """One card, alone: where notes' histories lead."""
    user = _user(request)
    (card,) = cards(_operations(user, [operation_id]), user)
    return _page(request, "review/operation.html", {"title": str(card.operation), "cards": [card]})


@require_GET
def change(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """What it changes, alone: for a card that came without, when it is looked at."""
    user = _user(request)
    (card,) = cards(_operations(user, [operation_id]), user)
    return render(request, "review/_loaded.html", {"card": card, "operation": card.operation, "change": card.change})


@require_GET
def edit(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    user = _user(request)
    (card,) = cards(_operations(user, [operation_id]), user)
    if not (card.may_decide and card.is_pending and card.can_edit):
        return _refused(request, "This operation cannot be edited, or no longer.", status=409)
    return _edit_page(request, card, EditForm(card.operation))


@require_POST
def decide(request: HttpRequest) -> HttpResponse:
    """Accept, reject, or save and accept what a form names: one operation or several."""
    user = _user(request)
    try:
        ids = read_ids(request.POST)
        found = _operations(user, ids)
        decisions = read_decisions(request.POST, found)
        if "edit" in request.POST:
            return _decide_edited(request, found, decisions)
        outcomes = services.review(decisions, actor=user)
    except BadRequest as error:
        return _refused(request, error.message, status=400)
    except NotFound as error:
        raise Http404(error.message) from error
    except Forbidden as error:
        return _refused(request, error.message, status=403)
    return _answer(request, outcomes)


@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    try:
        outcomes = services.undo(_operations(user, read_ids(request.POST)), actor=user)
    except BadRequest as error:
        return _refused(request, error.message, status=400)
    except Forbidden as error:
        return _refused(request, error.message, status=403)
    return _answer(request, outcomes)


@require_POST
def undo_run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    user = _user(request)
    found = get_object_or_404(scoped(Run.objects.select_related("workspace"), user), pk=run_id)
    try:
        outcomes = services.undo_run(found, actor=user)
    except Forbidden as error:
        return _refused(request, error.message, status=403)
    _tell(request, outcomes)
    return redirect("admin:review_run", run_id)


@require_GET
def front_door(request: HttpRequest) -> HttpResponseRedirect:
    """The site's root: to what waits for review, or is about to; else to the overview."""
    user = request.user
    waiting = isinstance(user, User) and (pending_for(user).exists() or under_way_for(user).exists())
    return redirect("admin:review_queue" if waiting else "admin:index")


# --- Steps ----------------------------------------------------------------------------------------


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the admin site lets nobody else in


def _operations(user: User, ids: Sequence[UUID]) -> list[Operation]:
    """In the order of `ids`; 404 if one of them is not there for this person."""
    found = {each.pk: each for each in scoped(for_cards(Operation.objects.filter(pk__in=ids)), user)}
    if len(found) < len(ids):
        raise Http404("There is no such operation here.")
    return [found[pk] for pk in ids]


def _decide_edited(request: HttpRequest, found: Sequence[Operation], decisions: Sequence[Decision]) -> HttpResponse:
    """What cannot be accepted as edited is shown again as typed."""
    user = _user(request)
    (card,) = cards(found[:1], user)
    form = EditForm(card.operation, request.POST)
    if not form.is_valid():
        return _edit_page(request, card, form)
    decision = Decision(card.operation.id, decisions[0].decision, "", form.edits(), decisions[0].base_version)
    (outcome,) = services.review([decision], actor=user)
    if outcome.code and outcome.status == OperationStatus.PENDING:
        (card,) = cards(_operations(user, [card.operation.id]), user)
        form.add_error(None, outcome.message)
        return _edit_page(request, card, form)
    return _answer(request, [outcome])


def _answer(request: HttpRequest, outcomes: Sequence[Outcome]) -> HttpResponse:
    if not _from_htmx(request):
        _tell(request, outcomes)
        return redirect(_next(request))
    user = _user(request)
    found = _operations(user, [outcome.operation.id for outcome in outcomes])
    why = {outcome.operation.id: outcome.message for outcome in outcomes if outcome.code}
    context = {"cards": cards(found, user, why), "announcement": " ".join(map(_words, outcomes))}
    return render(request, "review/_answer.html", context | _common(request))


def _tell(request: HttpRequest, outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        level = messages.WARNING if outcome.code else messages.SUCCESS
        messages.add_message(request, level, _words(outcome))


def _words(outcome: Outcome) -> str:
    what = f"{outcome.operation.get_kind_display()}, {outcome.operation.target_path or outcome.operation.title}"
    if outcome.code:
        return f"Not done: {what}. {outcome.message}"
    done = {"applied": "Accepted", "rejected": "Rejected", "reverted": "Undone"}[outcome.status]
    return f"{done}: {what}."


def _refused(request: HttpRequest, message: str, *, status: int) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": "Not possible", "message": message}
    template = "review/_refused.html" if _from_htmx(request) else "review/refused.html"
    return render(request, template, context, status=status)


def _edit_page(request: HttpRequest, card: Card, form: EditForm) -> HttpResponse:
    context = {"title": "Edit and accept", "card": card, "form": form}
    return _page(request, "review/_edit.html" if _from_htmx(request) else "review/edit.html", context)


def _page(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    return render(request, template, {**admin.site.each_context(request), **_common(request), **context})


def _common(request: HttpRequest) -> dict[str, Any]:
    # Addresses that every card has alike are looked up once: a page has a hundred of them.
    return {
        "here": _next(request),
        "decide_url": reverse("admin:review_decide"),
        "undo_url": reverse("admin:review_undo"),
    }


def _next(request: HttpRequest) -> str:
    """Where a form leads back to: this page, or the one that the form came from."""
    wanted = request.GET.get("next") or request.POST.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return wanted
    on_a_list = request.method == "GET" and request.resolver_match and request.resolver_match.url_name != "review_edit"
    return request.get_full_path() if on_a_list else reverse("admin:review_queue")


def _from_htmx(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False))
