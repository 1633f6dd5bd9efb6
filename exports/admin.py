"""Export jobs: order one, watch it, fetch what it made, try it again."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from exports import services
from exports.artifacts import delete_artifact, require_artifact
from exports.audit_admin import AuditAdmin
from exports.handing_out import hand_out
from exports.models import ExportJob, ExportKind
from exports.presentation import contents, extent_of, file_link, has_file, kept, verified
from exports.retention import is_last, is_last_well
from exports.verification import request_verification
from kjxlkj.admin_site import add_panel
from kjxlkj.errors import DomainError
from kjxlkj.jobs import live
from kjxlkj.workspaces.job_admin import ErrorCodeFilter, JobAdmin
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.roles import Right, scoped
from kjxlkj.workspaces.scoped_admin import WorkspaceFilter, actor

__all__ = ["AuditAdmin", "ExportAdmin"]

# Of an export's audit, that its own page shows.
_AUDIT_SHOWN = 20


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
    list_display = ["created_at", "what", "ordered_by", "state", "artifact", "kept", "verified"]
    live_columns = ("state", "artifact", "kept", "verified")
    list_filter = [WorkspaceFilter, "kind", "status", ErrorCodeFilter]
    change_list_template = "exports/list.html"
    change_form_template = "exports/export.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExportJob]:
        return visible(request.user).select_related("workspace", "created_by", "subject")

    def name_of(self, job: ExportJob) -> str:
        return job.workspace.name if job.workspace else "the whole instance"

    def page_context(self, request: HttpRequest, job: ExportJob) -> dict[str, Any]:
        audit = job.audit.select_related("actor")[:_AUDIT_SHOWN]
        is_check = job.kind == ExportKind.VERIFY
        made = {} if is_check else job.summary_json
        return {
            "title": f"Export of {self.name_of(job)}" if job.workspace else job.get_kind_display(),
            "has_file": has_file(job),
            "kept": kept(job),
            "checked": verified(job),
            "outcome": job.summary_json if is_check else job.verification_json,
            "outcome_at": job.finished_at if is_check else job.verified_at,
            "audit": [(entry, extent_of(entry)) for entry in audit],
            "condition": json.dumps(job.condition_json, indent=2, ensure_ascii=False) if job.condition_json else "",
            "summary": [(name.replace("_", " "), value) for name, value in made.items() if _is_fact(value)],
            "contents": [(name, contents(value)) for name, value in made.items() if not _is_fact(value)],
        }

    def _has(self, request: HttpRequest, right: Right | None, obj: Model | None = None) -> bool:
        if isinstance(obj, ExportJob) and obj.workspace is None:
            return right is not None and actor(request).is_superuser
        return super()._has(request, right, obj)

    @admin.display(description="what", ordering="kind")
    def what(self, job: ExportJob) -> str:
        return f"{job.get_kind_display()} of {job.workspace.name}" if job.workspace else job.get_kind_display()

    @admin.display(description="ordered by")
    def ordered_by(self, job: ExportJob) -> str:
        return "a rule" if job.run_id else str(job.created_by or "–")

    @admin.display(description="file")
    def artifact(self, job: ExportJob) -> SafeString:
        return live.cell("artifact", job.pk, file_link(job))

    @admin.display(description="kept")
    def kept(self, job: ExportJob) -> SafeString:
        return live.cell("kept", job.pk, kept(job))

    @admin.display(description="verified")
    def verified(self, job: ExportJob) -> SafeString:
        return live.cell("verified", job.pk, verified(job))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        workspaces = scoped(Workspace.objects.all(), request.user, Right.MANAGE, path="pk")
        context = {"workspaces": workspaces, "may_back_up": actor(request).is_superuser, **(extra_context or {})}
        return super().changelist_view(request, context)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("markdown/", wrap(require_POST(self.markdown_view)), name="exports_exportjob_markdown"),
            path("sql/", wrap(require_POST(self.backup_view)), name="exports_exportjob_backup"),
            path("<uuid:job_id>/download/", wrap(require_safe(self.download_view)), name="exports_exportjob_download"),
            path(
                "<uuid:job_id>/delete-file/",
                wrap(require_http_methods(["GET", "POST"])(self.delete_file_view)),
                name="exports_exportjob_delete_file",
            ),
            path("<uuid:job_id>/verify/", wrap(require_POST(self.verify_view)), name="exports_exportjob_verify"),
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

    def download_view(self, request: HttpRequest, job_id: UUID) -> HttpResponseBase:
        job = get_object_or_404(visible(request.user), pk=job_id)
        try:
            return hand_out(request, job, actor=actor(request))
        except DomainError as error:
            messages.error(request, error.message)
            return redirect("admin:exports_exportjob_change", job_id)

    def delete_file_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        job = get_object_or_404(visible(request.user).select_related("workspace"), pk=job_id)
        if request.method == "POST":
            self.attempt(request, f"The file {job.filename} is deleted.", delete_artifact, job, actor=actor(request))
            return redirect("admin:exports_exportjob_change", job_id)
        try:
            require_artifact(job)
        except DomainError as error:
            refusal = error.message
        else:
            refusal = ""
        context = {
            **self.admin_site.each_context(request),
            "title": "Delete the file of an export",
            "job": job,
            "refusal": refusal,
            "is_last": is_last(job),
            "is_last_well": is_last_well(job),
        }
        return render(request, "exports/delete.html", context)

    def verify_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        backup = get_object_or_404(visible(request.user), pk=job_id)
        told = "The check is ordered: the backup is restored into a database of its own and compared."
        check = self.attempt(request, told, request_verification, backup, actor=actor(request))
        return redirect("admin:exports_exportjob_change", check.pk if check else job_id)


def _is_fact(value: object) -> bool:
    return not isinstance(value, dict)


def _latest(request: HttpRequest) -> Mapping[str, Any] | None:
    jobs = list(visible(request.user).select_related("workspace").order_by("-created_at")[:5])
    return {"jobs": jobs} if jobs else None


add_panel(30, "exports/_latest.html", _latest)
