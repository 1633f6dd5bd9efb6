"""Rules, as people list them and fill them in. Every change goes through `automation.services`."""

from datetime import datetime
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from automation import actions, recipes, services
from automation.forms import RuleForm, declarations, trigger_label
from automation.models import Rule, Run
from automation.rule_pages import RulePages
from automation.rule_panels import rule_panels
from automation.rule_runs import page_context, with_last_runs
from automation.webhooks.action import WEBHOOK
from automation.webhooks.signing import secret_of
from kjxlkj.workspaces.models import Membership, User, Workspace
from kjxlkj.workspaces.roles import Right, is_superuser, roles_with, scoped
from kjxlkj.workspaces.scoped_admin import WorkspaceFilter, actor


class RuleList(ChangeList):
    """The changelist, with the last run of each rule on the page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = cast("QuerySet[Any]", with_last_runs(self.result_list))


@admin.register(Rule)
class RuleAdmin(RulePages):
    add_right = change_right = delete_right = Right.MANAGE
    form = RuleForm
    list_display = ["name", "workspace", "fires", "does", "switch", "last_run", "launch"]
    list_select_related = ["workspace"]
    list_filter = [WorkspaceFilter, "enabled"]
    search_fields = ["name"]
    change_form_template = "automation/rule.html"
    change_list_template = "automation/rules.html"
    fieldsets = [
        (None, {"fields": ["workspace", "name", "enabled"]}),
        ("When", {"fields": ["trigger", "schedule"]}),
        ("For which notes", {"fields": ["condition_json"]}),
        ("What it does", {"fields": ["action_json"]}),
        ("How it runs", {"fields": ["settle_seconds", "max_sources", "on_automation"]}),
    ]

    # --- The list ---------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        rows: QuerySet[Rule] = super().get_queryset(request).filter(deleted_at__isnull=True)
        last = Run.objects.filter(rule=OuterRef("pk")).order_by("-created_at", "-id").values("pk")[:1]
        rows = rows.select_related("workspace", "created_by")
        return rows.annotate(last_run_id=Subquery(last), managed=_managed_by(request.user))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RuleList

    @admin.display(description="fires", ordering="trigger")
    def fires(self, rule: Rule) -> str:
        return render_to_string("automation/_fires.html", {"rule": rule, "label": trigger_label(rule.trigger)})

    @admin.display(description="what it does")
    def does(self, rule: Rule) -> str:
        action = actions.find(rule.action_json.get("kind"))
        return action.label if action else str(rule.action_json.get("kind", ""))

    @admin.display(description="enabled", ordering="enabled")
    def switch(self, rule: Rule) -> str:
        return render_to_string("automation/_switch.html", {"rule": rule})

    @admin.display(description="last run")
    def last_run(self, rule: Any) -> str:
        return render_to_string("automation/_last_run.html", {"run": rule.last_run})

    @admin.display(description="launch")
    def launch(self, rule: Any) -> SafeString | str:
        if not rule.managed:
            return ""
        address = reverse("admin:automation_rule_confirm", args=[rule.pk])
        return format_html('<a href="{}" aria-label="Launch “{}”…">Launch…</a>', address, rule.name)

    # --- The form ---------------------------------------------------------------------------------

    def _has(self, request: HttpRequest, right: Right | None, obj: Any | None = None) -> bool:
        """Rules about the whole instance are for superusers to change, and for everybody else to read."""
        reserved = isinstance(obj, Rule) and right is not Right.READ and actions.for_superusers(obj.action_json)
        return super()._has(request, right, obj) and (not reserved or is_superuser(actor(request)))

    def get_readonly_fields(self, request: HttpRequest, obj: Any | None = None) -> Any:
        return ["workspace"] if obj else []

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget  # without its buttons: nobody makes a workspace for a rule
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = recipes.initial(request.GET.get("recipe", ""), actor(request))
        mine = list(scoped(Workspace.objects.all(), request.user, Right.MANAGE, path="pk")[:2])
        if len(mine) == 1:
            initial["workspace"] = mine[0].pk
        return initial

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        recipe = recipes.find(request.GET.get("recipe", ""), actor(request))
        context = {"declarations": declarations(actor(request)), "recipe": recipe, **(extra_context or {})}
        if object_id and (rule := self.get_object(request, object_id)):
            context |= page_context(rule) | {"read_at": rule.updated_at.isoformat(), "panels": rule_panels(rule)}
            if rule.action_json.get("kind") == WEBHOOK.kind and self.has_change_permission(request, rule):
                context["secret"] = secret_of(rule.pk)
        return super().changeform_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in services.RULE_FIELDS if name in form.cleaned_data}
        if change:
            services.update_rule(obj, actor=actor(request), base_updated_at=_read_at(request), **values)
        else:
            obj.pk = services.create_rule(obj.workspace, actor=actor(request), **values).pk

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        services.delete_rule(obj, actor=actor(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """It is a soft deletion: runs and what they proposed stay."""
        return [str(obj) for obj in objs], {}, set(), []


def _read_at(request: HttpRequest) -> datetime | None:
    """When the rule that a person has changed was as the form showed it. None from whoever posts without the form."""
    try:
        return datetime.fromisoformat(request.POST.get("base_updated_at", ""))
    except ValueError:
        return None


def _managed_by(user: object) -> Any:
    """Whether the person may change and launch a rule, told with the row: a list asks once."""
    if not isinstance(user, User) or user.is_superuser:
        return Value(isinstance(user, User))
    mine = Membership.objects.filter(user=user, role__in=roles_with(Right.MANAGE))
    reserved = [action.kind for action in actions.actions() if action.superusers_only]
    return Q(Exists(mine.filter(workspace=OuterRef("workspace")))) & ~Q(action_json__kind__in=reserved)
