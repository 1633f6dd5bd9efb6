"""The audit in the admin: who did what with exports. For reading alone."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from exports.models import AuditEntry
from exports.presentation import subject_of
from kjxlkj.workspaces.list_filters import DaysFilter, LinkedFilter
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import Right, scoped
from kjxlkj.workspaces.scoped_admin import ScopedAdmin, WorkspaceFilter, actor

TITLE = "Audit of exports"
_BY_ITSELF = "itself"


class ActorFilter(admin.SimpleListFilter):
    title = parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        seen = scoped(AuditEntry.objects.all(), request.user, Right.MANAGE).order_by()
        people = User.objects.filter(pk__in=seen.values("actor_id").distinct()).order_by("email")
        return [(email, email) for email in people.values_list("email", flat=True)] + [(_BY_ITSELF, "by itself")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == _BY_ITSELF:
            return queryset.filter(actor=None)
        return queryset.filter(actor__email=self.value()) if self.value() else queryset


class DateFilter(DaysFilter):
    title = "date"
    parameter_name = "date"
    lookup = "at"


class ExportFilter(LinkedFilter):
    title = "export"
    parameter_name = "export"
    lookup = "job_id"


@admin.register(AuditEntry)
class AuditAdmin(ScopedAdmin):
    view_right = Right.MANAGE
    change_form_template = "exports/audit_entry.html"
    list_display = ["when", "action", "what", "workspace", "who", "via", "address"]
    list_filter = [WorkspaceFilter, "action", ActorFilter, DateFilter, ExportFilter]
    empty_value_display = ""
    ordering = ["-at", "-id"]
    sortable_by = ()
    fields = ("when", "action", "what", "workspace", "who", "via", "address", "request_id", "detail")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        mine = scoped(AuditEntry.objects.all(), request.user, Right.MANAGE)
        return mine.select_related("workspace", "actor")

    def _has(self, request: HttpRequest, right: Right | None, obj: Model | None = None) -> bool:
        if isinstance(obj, AuditEntry) and obj.workspace is None:
            return right is not None and actor(request).is_superuser
        return super()._has(request, right, obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": TITLE, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        told = {"title": TITLE, "subtitle": None, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, told)

    @admin.display(description="when (UTC)", ordering="at")
    def when(self, entry: AuditEntry) -> str:
        return date_format(localtime(entry.at), "j M Y H:i:s")

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        return str(entry.actor) if entry.actor else "by itself"

    @admin.display(description="what")
    def what(self, entry: AuditEntry) -> SafeString:
        name = subject_of(entry)
        if entry.job_id is None:
            return format_html('<span class="path">{}</span>', name)
        link = reverse("admin:exports_exportjob_change", args=[entry.job_id])
        return format_html('<a class="path" href="{}">{}</a>', link, name)
