"""How proposals were received, and what a rule may therefore apply by itself, as parts of the admin."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from automation.models import Rule
from kjxlkj.workspaces.roles import scoped
from librarian.acceptance import acceptance, decided, percent
from librarian.auto_apply import plan_of
from librarian.gates import gates
from librarian.models import Operation, OperationKind
from librarian.queue_filters import Filters, choices
from librarian.reliability import FRAME, pictures


@require_GET
def acceptance_page(request: HttpRequest) -> HttpResponse:
    """For every member, of the workspaces that they may read."""
    operations = scoped(Operation.objects.all(), request.user)
    asked = Filters.read(request.GET)
    filters = Filters(workspace=asked.workspace, rule=asked.rule, kind=asked.kind)
    columns = ("workspace__slug", "workspace__name", "run__rule_id", "run__rule__name", "kind")
    there = list(decided(operations).order_by().values(*columns).annotate(waiting=Count("pk")))
    context = {
        "title": "How proposals were received",
        "filters": filters,
        "workspaces": choices(there, "workspace__slug", "workspace__name"),
        "rules": choices(there, "run__rule_id", "run__rule__name"),
        "kinds": [
            replace(choice, label=OperationKind(choice.value).label) for choice in choices(there, "kind", "kind")
        ],
        "pictures": pictures(acceptance(filters.apply(operations, timezone.now()))),
        "frame": FRAME,
    }
    return render(request, "librarian/acceptance.html", {**admin.site.each_context(request), **context})


def gates_panel(rule: Rule) -> Mapping[str, Any] | None:
    """Of a rule's page; only where the rule names kinds to apply by themselves."""
    plan = plan_of(rule)
    if plan is None or not plan.auto_apply:
        return None
    found = gates(rule.pk, plan)
    heard = {gate.kind for gate in found}
    return {
        "gates": found,
        "unheard": [OperationKind(kind).label for kind in plan.auto_apply if kind not in heard],
        "decisions": plan.auto_apply_decisions,
        "rate": percent(plan.auto_apply_rate),
    }
