"""The report of a run and what it asked and was told, as pages of the admin. For every member; they change nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from automation.models import Run
from kjxlkj.workspaces.roles import scoped
from librarian.line_diff import LineHunk, line_hunks
from librarian.matching import WORK
from librarian.models import Exchange
from librarian.questions import PLAN, PROPOSE, REPAIR
from librarian.queue_filters import as_uuid
from librarian.reporting import with_counts

_TEXTS = ("system_prompt", "prompt", "response", "reasoning")
_LISTED = 100


@require_GET
def report(request: HttpRequest, run_id: UUID) -> HttpResponse:
    run = _run(request, run_id)
    exchanges = Exchange.objects.filter(run=run).defer(*_TEXTS).order_by("created_at", "id")
    page = Paginator(exchanges, _LISTED).get_page(request.GET.get("page"))
    context = {
        "title": f"Report of a run of “{run.rule.name}”",
        "run": run,
        "report": with_counts().filter(run=run).first(),
        "page": page,
        "numbers": page.paginator.get_elided_page_range(page.number),
    }
    return _page(request, "librarian/report.html", context)


@require_GET
def exchange(request: HttpRequest, run_id: UUID, exchange_id: UUID) -> HttpResponse:
    """One request whole, and how it and its answer differ from those of another try: `with`, or the one before."""
    run = _run(request, run_id)
    found = get_object_or_404(Exchange.objects.filter(run=run), pk=exchange_id)
    tries = list(Exchange.objects.filter(run=run, index=found.index).defer(*_TEXTS).order_by("created_at", "id"))
    chosen = as_uuid(request.GET.get("with", "")) or _before(found)
    others = Exchange.objects.filter(run=run, index=found.index).exclude(pk=found.pk)
    other = others.filter(pk=chosen).first() if chosen else None
    pair = sorted((found, other), key=lambda each: each.created_at) if other else []
    context = {
        "title": f"Request {found.index}, {found.stage}, attempt {found.attempt}",
        "run": run,
        "exchange": found,
        "texts": [(_words(name), getattr(found, name)) for name in _TEXTS if getattr(found, name)],
        "tries": tries,
        "other": other,
        "pair": pair,
        "comparisons": _comparisons(*pair) if pair else [],
    }
    return _page(request, "librarian/exchange.html", context)


def _before(found: Exchange) -> UUID | None:
    """The last answer before to the same question: of a repair, the one that it repairs."""
    of_the_question = [found.stage] if found.stage != REPAIR else [PLAN, PROPOSE, REPAIR]
    tries = Exchange.objects.filter(run=found.run_id, index=found.index, stage__in=of_the_question)
    earlier = tries.filter(created_at__lt=found.created_at).exclude(response="").order_by("-created_at")
    return earlier.values_list("pk", flat=True).first()


@dataclass(frozen=True, slots=True)
class Comparison:
    name: str
    hunks: list[LineHunk]
    """Empty: both are the same."""
    is_open: bool


def _comparisons(old: Exchange, new: Exchange) -> Iterator[Comparison]:
    """The answer first: it is what tries are about. What asks for a repair is another text from end to end."""
    for name in reversed(_TEXTS):
        before, after = getattr(old, name), getattr(new, name)
        if before or after:
            is_open = name == "response" or old.stage == new.stage
            yield Comparison(_words(name), line_hunks(before, after, work=WORK // len(_TEXTS)), is_open)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _run(request: HttpRequest, run_id: UUID) -> Run:
    runs = Run.objects.select_related("rule", "workspace").defer("rule_snapshot", "result_json")
    return get_object_or_404(scoped(runs, request.user), pk=run_id)


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return render(request, template, {**admin.site.each_context(request), **context})
