"""An export's artifact on its way to somebody who may have it."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request

from exports.artifacts import gone, require_artifact
from exports.audit import record
from exports.models import AuditAction, ExportJob, ExportKind
from kjxlkj.downloads import Download, answer, handed_out
from kjxlkj.workspaces.models import User


def hand_out(request: HttpRequest | Request, job: ExportJob, *, actor: User, stream: bool = False) -> HttpResponseBase:
    """The download, audited. Raises `Conflict` as `require_artifact`, `StorageFault`."""
    require_artifact(job)
    content_type = "application/octet-stream" if job.kind == ExportKind.SQL else "application/zip"
    download = Download(job.file.name, job.filename, content_type, job.size or 0, job.sha256)
    try:
        response = answer(request, download, stream=stream)
    except FileNotFoundError as error:
        raise gone() from error
    if handed_out(response, request):
        record(AuditAction.DOWNLOADED, job=job, actor=actor, **_how(response))
    return response


def _how(response: HttpResponseBase) -> dict[str, Any]:
    """Where it was not simply the whole."""
    if response.status_code == 206:
        return {"range": response["Content-Range"]}
    return {"link_seconds": settings.S3_LINK_SECONDS} if response.status_code == 302 else {}
