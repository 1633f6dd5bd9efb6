"""The pages beside a rule's form: recipes, preview, the switch, the copy, the launch."""

from collections.abc import Callable, Mapping
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_POST, require_safe

from automation import recipes, services
from automation.forms import RuleForm
from automation.models import Rule
from automation.rule_preview import launch_context, preview_context
from kjxlkj.errors import DomainError
from kjxlkj.workspaces.scoped_admin import ScopedAdmin, actor


class RulePages(ScopedAdmin):
    def get_urls(self) -> list[URLPattern]:
        def page(route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
            return path(route, self.admin_site.admin_view(view), name=f"automation_rule_{name}")

        return [
            page("recipes/", require_GET(self.recipes_view), "recipes"),
            page("preview/", require_POST(self.preview_view), "preview_new"),
            page("<uuid:rule_id>/preview/", require_POST(self.preview_view), "preview"),
            page("<uuid:rule_id>/enabled/", require_POST(self.enabled_view), "enabled"),
            page("<uuid:rule_id>/duplicate/", require_POST(self.duplicate_view), "duplicate"),
            page("<uuid:rule_id>/confirm/", require_safe(self.confirm_view), "confirm"),
            page("<uuid:rule_id>/launch/", require_POST(self.launch_view), "launch"),
            *super().get_urls(),
        ]

    def recipes_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {"title": "Start from a recipe", "recipes": recipes.offered(actor(request))}
        return self._render(request, "automation/recipes.html", context)

    def preview_view(self, request: HttpRequest, rule_id: UUID | None = None) -> HttpResponse:
        """What the rule in the form would do, and what is wrong with it. Who may not change it sees it as it is."""
        rule = get_object_or_404(self.get_queryset(request), pk=rule_id) if rule_id else None
        form = None
        if self.has_change_permission(request, rule) if rule else self.has_add_permission(request):
            form = cast(RuleForm, self.get_form(request, rule, change=rule is not None)(request.POST, instance=rule))
        elif rule is None:
            raise PermissionDenied
        context = preview_context(rule, form, request.POST.get("why", ""))
        return render(request, "automation/_preview.html", context)

    def enabled_view(self, request: HttpRequest, rule_id: UUID) -> HttpResponse:
        """Switches a rule on or off; of a list that is open in a browser, in its place."""
        rule = get_object_or_404(self.get_queryset(request), pk=rule_id)
        enabled = request.POST.get("enabled") == "true"
        if not getattr(request, "htmx", False):
            what = f"“{rule.name}” is {'enabled' if enabled else 'disabled'}."
            self.attempt(request, what, services.update_rule, rule, actor=actor(request), enabled=enabled)
            return redirect("admin:automation_rule_changelist")
        refusal = ""
        try:
            services.update_rule(rule, actor=actor(request), enabled=enabled)
        except DomainError as error:
            refusal = error.message
        rule = get_object_or_404(self.get_queryset(request), pk=rule_id)
        return render(request, "automation/_switched.html", {"rule": rule, "refusal": refusal})

    def duplicate_view(self, request: HttpRequest, rule_id: UUID) -> HttpResponse:
        rule = get_object_or_404(self.get_queryset(request), pk=rule_id)
        what = "This is the copy. It is disabled: look it over, then enable it."
        copy = self.attempt(request, what, services.duplicate_rule, rule, actor=actor(request))
        return redirect("admin:automation_rule_change", (copy or rule).pk)

    def confirm_view(self, request: HttpRequest, rule_id: UUID) -> HttpResponse:
        """What a launch would do, before anybody does it."""
        rule = get_object_or_404(self.get_queryset(request), pk=rule_id)
        if not self.has_change_permission(request, rule):
            raise PermissionDenied
        context = {"title": f"Launch “{rule.name}”?", "rule": rule, **launch_context(rule)}
        return self._render(request, "automation/launch.html", context)

    def launch_view(self, request: HttpRequest, rule_id: UUID) -> HttpResponse:
        rule = get_object_or_404(self.get_queryset(request), pk=rule_id)
        try:
            runs = services.launch_rule(rule, actor=actor(request)).runs
        except DomainError as error:
            self.message_user(request, error.message, messages.ERROR)
            return redirect("admin:automation_rule_change", rule.pk)
        self.message_user(request, _launched(rule, len(runs)), messages.SUCCESS)
        if len(runs) == 1:
            return redirect("admin:automation_run_change", runs[0].pk)
        return redirect("admin:automation_run_changelist")

    def _render(self, request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
        return render(request, template, {**self.admin_site.each_context(request), "opts": self.opts, **context})


def _launched(rule: Rule, runs: int) -> str:
    return format_html(
        "“{}” is launched: {}. What it proposes comes to the <a href='{}'>review queue</a>.",
        rule.name,
        f"{runs} run{'s' if runs > 1 else ''}",
        reverse("admin:review_queue"),
    )
