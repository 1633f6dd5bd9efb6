"""Export jobs: order one, watch it, fetch what it made, try it again."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Model, Q, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from exports import services
from exports.models import ExportJob, ExportKind
from kjxlkj.admin_site import add_panel
from kjxlkj.errors import DomainError
from kjxlkj.jobs import live
from kjxlkj.jobs.models import JobStatus
from kjxlkj.workspaces.job_admin import ErrorCodeFilter, JobAdmin
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.roles import Right, scoped
from kjxlkj.workspaces.scoped_admin import WorkspaceFilter, actor


def visible(user: object) -> QuerySet[ExportJob]:
    """Archives of one's workspaces; backups hold everything and are for superusers."""
    jobs: QuerySet[ExportJob] = scoped(ExportJob.objects.all(), user, Right.MANAGE)
    if isinstance(user, User) and user.is_superuser:
        return jobs
    return jobs.filter(~Q(kind=ExportKind.SQL))


@admin.register(ExportJob)
class ExportAdmin(JobAdmin):
    noun = "export"
    cancel = staticmethod(services.cancel_export)
    retry = staticmethod(services.retry_export)
    view_right = Right.MANAGE
    list_display = ["created_at", "kind", "workspace", "state", "archive", "expires_at"]
    live_columns = ("state", "archive")
    list_select_related = ["workspace"]
    list_filter = [WorkspaceFilter, "kind", "status", ErrorCodeFilter]
    change_list_template = "exports/list.html"
    change_form_template = "exports/export.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExportJob]:
        return visible(request.user).select_related("workspace")

    def name_of(self, job: ExportJob) -> str:
        return job.workspace.name if job.workspace else "the whole instance"

    def page_context(self, request: HttpRequest, job: ExportJob) -> dict[str, Any]:
        return {
            "condition": json.dumps(job.condition_json, indent=2, ensure_ascii=False) if job.condition_json else "",
            "summary": [(name.replace("_", " "), value) for name, value in job.summary_json.items() if _is_fact(value)],
            "contents": [
                (name, sorted(value.items())) for name, value in job.summary_json.items() if not _is_fact(value)
            ],
        }

    def _has(self, request: HttpRequest, right: Right | None, obj: Model | None = None) -> bool:
        if isinstance(obj, ExportJob) and obj.workspace is None:
            return right is not None and actor(request).is_superuser
        return super()._has(request, right, obj)

    @admin.display(description="archive")
    def archive(self, job: ExportJob) -> SafeString:
        return live.cell("archive", job.pk, self._link(job))

    def _link(self, job: ExportJob) -> str:
        if job.status != JobStatus.SUCCEEDED or not job.file:
            return "–"
        link = reverse("admin:exports_exportjob_download", args=[job.pk])
        return format_html('<a href="{}">{}</a> ({})', link, job.filename or "download", filesizeformat(job.size or 0))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        workspaces = scoped(Workspace.objects.all(), request.user, Right.MANAGE, path="pk")
        context = {"workspaces": workspaces, "may_back_up": actor(request).is_superuser, **(extra_context or {})}
        return super().changelist_view(request, context)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("markdown/", wrap(require_POST(self.markdown_view)), name="exports_exportjob_markdown"),
            path("sql/", wrap(require_POST(self.backup_view)), name="exports_exportjob_backup"),
            path("<uuid:job_id>/download/", wrap(self.download_view), name="exports_exportjob_download"),
            *super().get_urls(),
        ]

    def markdown_view(self, request: HttpRequest) -> HttpResponse:
        mine = scoped(Workspace.objects.all(), request.user, path="pk")
        workspace = get_object_or_404(mine, slug=request.POST.get("workspace", ""))
        try:
            services.request_markdown_export(workspace, actor=actor(request))
        except DomainError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, f"The export of {workspace.name} is ordered. Its archive appears in this list.")
        return redirect("admin:exports_exportjob_changelist")

    def backup_view(self, request: HttpRequest) -> HttpResponse:
        told = "The SQL backup is ordered. It appears in this list."
        self.attempt(request, told, services.request_backup, actor=actor(request))
        return redirect("admin:exports_exportjob_changelist")

    def download_view(self, request: HttpRequest, job_id: UUID) -> FileResponse:
        job = get_object_or_404(visible(request.user), pk=job_id)
        try:
            artifact = services.open_artifact(job)
        except DomainError as error:
            raise Http404(error.message) from error
        return FileResponse(artifact, as_attachment=True, filename=job.filename)


def _is_fact(value: object) -> bool:
    return not isinstance(value, dict)


def _latest(request: HttpRequest) -> Mapping[str, Any] | None:
    jobs = list(visible(request.user).select_related("workspace").order_by("-created_at")[:5])
    return {"jobs": jobs} if jobs else None


add_panel(30, "exports/_latest.html", _latest)
