"""The report of a run and what it asked and was told, as pages of the admin. For every member; they change nothing."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from automation.models import Run
from kjxlkj.workspaces.roles import scoped
from librarian.changes import body_change
from librarian.models import Exchange
from librarian.questions import PLAN, PROPOSE, REPAIR
from librarian.reporting import with_counts

_TEXTS = ("system_prompt", "prompt", "response", "reasoning")
# More requests than that no run makes unless its rule asks for it.
_LISTED = 500


@require_GET
def report(request: HttpRequest, run_id: UUID) -> HttpResponse:
    run = _run(request, run_id)
    exchanges = Exchange.objects.filter(run=run).defer(*_TEXTS).order_by("created_at", "id")
    context = {
        "title": f"Report of a run of “{run.rule.name}”",
        "run": run,
        "report": with_counts().filter(run=run).first(),
        "exchanges": exchanges[:_LISTED],
        "listed": _LISTED,
    }
    return _page(request, "librarian/report.html", context)


@require_GET
def exchange(request: HttpRequest, run_id: UUID, exchange_id: UUID) -> HttpResponse:
    """One request whole, and how its answer differs from the one before of the same question."""
    run = _run(request, run_id)
    found = get_object_or_404(Exchange.objects.filter(run=run), pk=exchange_id)
    of_the_question = [found.stage] if found.stage != REPAIR else [PLAN, PROPOSE, REPAIR]
    before = (
        Exchange.objects.filter(run=run, index=found.index, stage__in=of_the_question)
        .filter(created_at__lt=found.created_at)
        .exclude(response="")
        .only("stage", "attempt", "response")
        .order_by("-created_at")
        .first()
    )
    texts = [(name.replace("_", " "), getattr(found, name)) for name in _TEXTS if getattr(found, name)]
    context = {
        "title": f"Request {found.index}, {found.stage}, attempt {found.attempt}",
        "run": run,
        "exchange": found,
        "texts": texts,
        "before": before,
        "change": body_change(before.response, found.response) if before and found.response else None,
    }
    return _page(request, "librarian/exchange.html", context)


def _run(request: HttpRequest, run_id: UUID) -> Run:
    runs = Run.objects.select_related("rule", "workspace").defer("rule_snapshot", "result_json")
    return get_object_or_404(scoped(runs, request.user), pk=run_id)


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return render(request, template, {**admin.site.each_context(request), **context})
