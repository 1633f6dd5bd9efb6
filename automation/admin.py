"""Rules and their runs."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from automation import actions, services
from automation.models import Rule, Run
from automation.triggers import TRIGGERS
from kjxlkj.admin_site import add_panel
from kjxlkj.errors import DomainError
from kjxlkj.jobs.models import JobStatus
from kjxlkj.notes.filters import VOCABULARY
from kjxlkj.parser import unstorable
from kjxlkj.workspaces.job_admin import ErrorCodeFilter, JobAdmin
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import Right, is_superuser, scoped
from kjxlkj.workspaces.scoped_admin import ScopedAdmin, ServiceForm, WorkspaceFilter, actor

OFFLINE_LIBRARIAN = {
    "kind": "librarian_structure",
    "provider": {"provider_kind": "offline"},
    "plan": {"goal": "Title, tag and link what lies in the inbox"},
}


class IndentedJSON(json.JSONEncoder):
    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "indent": 2, "sort_keys": False})


class StorableJSON(json.JSONDecoder):
    """Reads what the API reads: what cannot be stored, or shown again, is as wrong as what is no JSON."""

    def decode(self, s: str, *args: Any) -> Any:
        try:
            value = super().decode(s)
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError("no JSON", s, 0) from error
        if unstorable(value):
            raise json.JSONDecodeError("cannot be stored", s, 0)
        return value


class RuleForm(ServiceForm):
    trigger = forms.ChoiceField(choices=[(name, name) for name in TRIGGERS])
    condition_json = forms.JSONField(
        label="Condition",
        required=False,
        initial={},
        encoder=IndentedJSON,
        decoder=StorableJSON,
        widget=forms.Textarea({"rows": 6, "class": "source", "spellcheck": "false"}),
        help_text='Which notes it is about; {} is every note. For example {"folder": "inbox"} or '
        '{"any": [{"untagged": true}, {"title_contains": "untitled"}]}. '
        f"Words: {', '.join(VOCABULARY)}; all, any, not.",
    )
    action_json = forms.JSONField(
        label="Action",
        initial=OFFLINE_LIBRARIAN,
        encoder=IndentedJSON,
        decoder=StorableJSON,
        widget=forms.Textarea({"rows": 12, "class": "source", "spellcheck": "false"}),
        help_text="What it does. The offline librarian needs no network and no key.",
    )

    class Meta:
        model = Rule
        fields: ClassVar[list[str]] = ["workspace", *services.RULE_FIELDS]

    def clean_condition_json(self) -> Any:
        given = self.cleaned_data["condition_json"]
        return {} if given is None else given


@admin.register(Rule)
class RuleAdmin(ScopedAdmin):
    add_right = change_right = delete_right = Right.MANAGE
    form = RuleForm
    list_display = ["name", "workspace", "trigger", "enabled", "kind", "updated_at"]
    list_select_related = ["workspace"]
    list_filter = [WorkspaceFilter, "enabled"]
    search_fields = ["name"]
    actions = ["launch_selected"]
    change_form_template = "automation/rule.html"
    fields = ["workspace", *services.RULE_FIELDS]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        return super().get_queryset(request).filter(deleted_at__isnull=True)

    def get_readonly_fields(self, request: HttpRequest, obj: Any | None = None) -> Any:
        return ["workspace"] if obj else []

    def _has(self, request: HttpRequest, right: Right | None, obj: Any | None = None) -> bool:
        reserved = isinstance(obj, Rule) and right is not Right.READ and actions.for_superusers(obj.action_json)
        return super()._has(request, right, obj) and (not reserved or is_superuser(actor(request)))

    @admin.display(description="action")
    def kind(self, rule: Rule) -> str:
        return str(rule.action_json.get("kind", ""))

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in services.RULE_FIELDS if name in form.cleaned_data}
        if change:
            services.update_rule(obj, actor=actor(request), **values)
        else:
            obj.pk = services.create_rule(obj.workspace, actor=actor(request), **values).pk

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        services.delete_rule(obj, actor=actor(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """It is a soft deletion: runs and what they proposed stay."""
        return [str(obj) for obj in objs], {}, set(), []

    @admin.action(description="Launch selected rules now")
    def launch_selected(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        for rule in queryset:
            self._launch(request, rule)

    def get_urls(self) -> list[URLPattern]:
        launch = self.admin_site.admin_view(require_POST(self.launch_view))
        return [path("<uuid:rule_id>/launch/", launch, name="automation_rule_launch"), *super().get_urls()]

    def launch_view(self, request: HttpRequest, rule_id: UUID) -> HttpResponse:
        rule = get_object_or_404(self.get_queryset(request), pk=rule_id)
        runs = self._launch(request, rule)
        if len(runs) == 1:
            return redirect("admin:automation_run_change", runs[0].pk)
        return redirect("admin:automation_run_changelist" if runs else "admin:automation_rule_changelist")

    def _launch(self, request: HttpRequest, rule: Rule) -> list[Run]:
        try:
            launch = services.launch_rule(rule, actor=actor(request))
        except DomainError as error:
            self.message_user(request, error.message, messages.ERROR)
            return []
        runs = f"{len(launch.runs)} run{'s' if len(launch.runs) > 1 else ''}"
        self.message_user(
            request,
            format_html(
                "“{}” is launched: {}. What it proposes comes to the <a href='{}'>review queue</a>.",
                rule.name,
                runs,
                reverse("admin:review_queue"),
            ),
            messages.SUCCESS,
        )
        return launch.runs


@admin.register(Run)
class RunAdmin(JobAdmin):
    noun = "run"
    cancel = staticmethod(services.cancel_run)
    retry = staticmethod(services.retry_run)
    list_display = ["created_at", "rule", "workspace", "state", "trigger", "review"]
    list_select_related = ["rule", "workspace"]
    list_filter = [WorkspaceFilter, "status", "trigger", ErrorCodeFilter]
    change_form_template = "automation/run.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        left_out = ("result_json", "rule_snapshot", "rule__condition_json", "rule__action_json")
        rows: QuerySet[Run] = super().get_queryset(request).select_related("rule", "workspace")
        return rows.defer(*left_out)

    def name_of(self, job: Run) -> str:
        return f"“{job.rule.name}”"

    @admin.display(description="proposals")
    def review(self, run: Run) -> SafeString:
        return format_html('<a href="{}">review</a>', reverse("admin:review_run", args=[run.pk]))

    def page_context(self, request: HttpRequest, job: Run) -> dict[str, Any]:
        sources = job.sources.select_related("note", "event").only("note__title", "note__path", "event__type")
        return {
            "run": job,
            "trace": _readable(job.result_json),
            "rule_json": json.dumps(job.rule_snapshot, indent=2, ensure_ascii=False),
            "sources": sources[:200],
            "source_count": job.sources.count(),
        }


def _readable(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of a run's trace, what the page has no form of its own for."""
    return [
        (name.replace("_", " "), value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))
        for name, value in result.items()
        if name not in {"outcome", "stages", "left_out"}
    ]


def _runs_panel(request: HttpRequest) -> Mapping[str, Any] | None:
    if not isinstance(request.user, User):
        return None
    runs = scoped(Run.objects.select_related("rule"), request.user).defer("result_json", "rule_snapshot")
    return {
        "failed": list(runs.filter(status=JobStatus.FAILED).order_by("-created_at")[:5]),
        "active": list(runs.unfinished().order_by("-created_at")[:5]),
    }


add_panel(20, "automation/_runs_panel.html", _runs_panel)
