"""Runs, as people follow them."""

import json
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from automation import runs_panel, services
from automation.models import Rule, Run
from automation.rule_filter import RuleFilter
from automation.trace import triggered_by, with_outcome
from kjxlkj.admin_site import add_panel
from kjxlkj.jobs import live
from kjxlkj.notes.timeline import RuleBehind, tell_rules_by
from kjxlkj.workspaces.job_admin import ErrorCodeFilter, FinishedFilter, JobAdmin
from kjxlkj.workspaces.scoped_admin import WorkspaceFilter


@admin.register(Run)
class RunAdmin(JobAdmin):
    noun = "run"
    cancel = staticmethod(services.cancel_run)
    retry = staticmethod(services.retry_run)
    list_display = ["created_at", "rule", "workspace", "state", "trigger", "came_of_it", "review"]
    live_columns = ("state", "came_of_it")
    list_select_related = ["rule", "workspace"]
    list_filter = [WorkspaceFilter, "status", "trigger", RuleFilter, FinishedFilter, ErrorCodeFilter]
    change_form_template = "automation/run.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        left_out = ("result_json", "rule_snapshot", "rule__condition_json", "rule__action_json")
        rows: QuerySet[Run] = super().get_queryset(request).select_related("rule", "workspace")
        return with_outcome(rows).defer(*left_out)

    def name_of(self, job: Run) -> str:
        return f"“{job.rule.name}”"

    @admin.display(description="outcome")
    def came_of_it(self, run: Run) -> SafeString:
        return live.cell("came_of_it", run.pk, escape(run.outcome))

    @admin.display(description="proposals")
    def review(self, run: Run) -> SafeString:
        return format_html('<a href="{}">review</a>', reverse("admin:review_run", args=[run.pk]))

    def page_context(self, request: HttpRequest, job: Run) -> dict[str, Any]:
        sources = job.sources.select_related("note", "event").only("note__title", "note__path", "event__type")
        names = dict(Rule.objects.filter(id__in=job.chain).values_list("id", "name"))
        return {
            "run": job,
            "triggered_by": triggered_by(job),
            "led_here": [f"“{names[rule_id]}”" for rule_id in job.chain],
            "trace": _readable(job.result_json),
            "rule_json": json.dumps(job.rule_snapshot, indent=2, ensure_ascii=False),
            "sources": sources[:200],
            "source_count": job.source_count,
        }


def _readable(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of a run's trace, what the page has no form of its own for."""
    return [
        (name.replace("_", " "), value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))
        for name, value in result.items()
        if name not in {"outcome", "stages", "left_out"}
    ]


def _rules_behind(run_ids: Collection[UUID]) -> dict[UUID, RuleBehind]:
    rules = Run.objects.filter(pk__in=run_ids).values_list("pk", "rule_id", "rule__name")
    return {pk: RuleBehind(name, reverse("admin:automation_rule_change", args=[rule])) for pk, rule, name in rules}


add_panel(20, "automation/_runs_panel.html", runs_panel.context)
tell_rules_by(_rules_behind)
