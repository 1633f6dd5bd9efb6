"""How proposals were received, and what a rule may therefore apply by itself, as parts of the admin."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from automation.models import Rule
from kjxlkj.workspaces.roles import scoped
from librarian.acceptance import acceptance, decided, percent
from librarian.auto_apply import plan_of
from librarian.gates import gates
from librarian.models import Operation, OperationKind
from librarian.queue import Filters, choices, facets
from librarian.reliability import FRAME, pictures


@require_GET
def acceptance_page(request: HttpRequest) -> HttpResponse:
    """For every member, of the workspaces that they may read."""
    operations = scoped(Operation.objects.all(), request.user)
    filters = Filters.read(request.GET)
    there = facets(decided(operations))
    context = {
        "title": "How proposals were received",
        "filters": filters,
        "workspaces": choices(there, "workspace__slug", "workspace__name"),
        "rules": choices(there, "run__rule_id", "run__rule__name"),
        "kinds": choices(there, "kind", "kind", dict(OperationKind.choices)),
        "pictures": pictures(acceptance(filters.apply(operations))),
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
