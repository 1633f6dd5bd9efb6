"""Exports over HTTP."""

from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from exports import services
from exports.artifacts import delete_artifact
from exports.handing_out import hand_out
from exports.models import AuditEntry, ExportJob
from exports.serializers import AuditOut, AuditQuery, ExportOut, ExportQuery, MarkdownExportIn
from exports.verification import request_verification
from kjxlkj.api import (
    AnyAccept,
    NoParameters,
    WorkspaceScoped,
    acting_user,
    read_body,
    read_query,
    workspace_for,
)
from kjxlkj.downloads import DownloadQuery
from kjxlkj.workspaces.models import Workspace
from kjxlkj.workspaces.roles import Right, require, scoped


class ExportViewSet(WorkspaceScoped, GenericViewSet[ExportJob]):
    """For those who may export: an archive holds every note. Those made before an archiving stay to be had."""

    queryset = ExportJob.objects.select_related("workspace")
    serializer_class = ExportOut
    lookup_value_regex = "[^/]+"
    noun = "EXPORT"
    ordering = ("-created_at", "-id")
    content_negotiation_class = AnyAccept

    @extend_schema(parameters=[ExportQuery])
    def list(self, request: Request) -> Response:
        asked = read_query(request, ExportQuery)
        if workspace_id := asked.get("workspace_id"):
            _check(request, workspace_for(acting_user(request), workspace_id, Right.READ))
        rows = scoped(ExportJob.objects.filter(**asked), request.user, Right.MANAGE)
        return self.get_paginated_response(ExportOut(self.paginate_queryset(rows), many=True).data)

    def retrieve(self, request: Request, pk: str) -> Response:
        read_query(request)
        return Response(ExportOut(self._job()).data)

    @extend_schema(request=MarkdownExportIn, responses={202: ExportOut})
    @action(detail=False, methods=["post"])
    def markdown(self, request: Request) -> Response:
        """Queue an archive of a workspace's notes, or of those that meet a condition."""
        given = read_body(request, MarkdownExportIn)
        actor = acting_user(request)
        workspace = workspace_for(actor, given["workspace_id"], Right.MANAGE)
        job = services.request_markdown_export(workspace, actor=actor, condition=given["condition"])
        job.refresh_from_db()
        return Response(ExportOut(job).data, 202)

    @extend_schema(
        parameters=[DownloadQuery],
        responses={
            (200, "application/zip"): OpenApiTypes.BINARY,
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            302: OpenApiResponse(description="Where files are in a bucket: to a link that opens for a few minutes."),
        },
    )
    @action(detail=True)
    def artifact(self, request: Request, pk: str) -> HttpResponseBase:
        """The archive, or the backup, or a range of it. 409 EXPORT_NOT_READY while it is being made, EXPORT_GONE when
        it was deleted."""
        asked = read_query(request, DownloadQuery)
        return hand_out(request, self._job(), actor=acting_user(request), stream=asked["stream"])

    @extend_schema(operation_id="admin_export_artifact_delete", request=None, responses=ExportOut)
    @artifact.mapping.delete
    def delete_artifact(self, request: Request, pk: str) -> Response:
        """Take the file out of the storage, for good. The export stays, with `deleted_at`."""
        read_query(request)
        return Response(ExportOut(delete_artifact(self._job(), actor=acting_user(request))).data)

    @extend_schema(request=NoParameters, responses=ExportOut)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """A queued export ends at once, a running one when its worker next looks."""
        job = self._job()
        read_body(request, NoParameters)
        return Response(ExportOut(services.cancel_export(job, actor=acting_user(request))).data)

    @extend_schema(request=NoParameters, responses={202: ExportOut})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """A new export of the same notes, for one that failed."""
        job = self._job()
        read_body(request, NoParameters)
        again = services.retry_export(job, actor=acting_user(request))
        again.refresh_from_db()
        return Response(ExportOut(again).data, 202)

    @extend_schema(request=NoParameters, responses={202: ExportOut})
    @action(detail=True, methods=["post"])
    def verify(self, request: Request, pk: str) -> Response:
        """Have a backup restored into a database of its own and compared. Its outcome is kept with the backup."""
        backup = self._job()
        read_body(request, NoParameters)
        check = request_verification(backup, actor=acting_user(request))
        check.refresh_from_db()
        return Response(ExportOut(check).data, 202)

    def _job(self) -> ExportJob:
        job: ExportJob = self.get_object()
        # A backup has no workspace; only superusers see it at all.
        if job.workspace is not None:
            _check(self.request, job.workspace)
        return job


class BackupView(APIView):
    @extend_schema(operation_id="admin_backup_sql", request=NoParameters, responses={202: ExportOut})
    def post(self, request: Request) -> Response:
        """Queue a SQL backup of the database, without attachments; it appears among the exports. For superusers."""
        read_body(request, NoParameters)
        job = services.request_backup(actor=acting_user(request))
        job.refresh_from_db()
        return Response(ExportOut(job).data, 202)


class AuditViewSet(WorkspaceScoped, GenericViewSet[AuditEntry]):
    """Who asked for exports, fetched, checked, restored and deleted them. For those who may export."""

    queryset = AuditEntry.objects.all()
    serializer_class = AuditOut
    ordering = ("-at", "-id")

    def get_queryset(self) -> QuerySet[AuditEntry]:
        return scoped(AuditEntry.objects.all(), self.request.user, Right.MANAGE)

    @extend_schema(parameters=[AuditQuery])
    def list(self, request: Request) -> Response:
        asked = read_query(request, AuditQuery)
        if workspace_id := asked.get("workspace_id"):
            _check(request, workspace_for(acting_user(request), workspace_id, Right.READ))
        wanted = {_AUDIT_LOOKUPS.get(name, name): value for name, value in asked.items()}
        rows = self.get_queryset().filter(**wanted)
        return self.get_paginated_response(AuditOut(self.paginate_queryset(rows), many=True).data)


_AUDIT_LOOKUPS = {"export_id": "job_id", "since": "at__gte", "until": "at__lt"}


def _check(request: Request, workspace: Workspace) -> None:
    """What was made before the archiving of a workspace stays to be had."""
    require(acting_user(request), workspace, Right.MANAGE, archived=True)
