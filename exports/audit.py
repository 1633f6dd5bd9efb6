"""Who did what with all that leaves the instance and comes back: written beside the deed, never changed."""

from pathlib import Path
from typing import Any

from exports.models import AuditAction, AuditEntry, ExportJob, ExportKind
from kjxlkj.origin import current_origin
from kjxlkj.request_id import current_request_id
from kjxlkj.workspaces.models import User, Workspace


def record(
    action: AuditAction,
    *,
    job: ExportJob | None,
    actor: User | None,
    via: str | None = None,
    address: str | None = None,
    workspace: Workspace | None = None,
    **detail: Any,
) -> AuditEntry:
    """In the caller's transaction, if there is one. `actor` None: it was done by itself.

    `via` and `address` are told where they are not those of the request at work here.
    """
    origin = current_origin()
    whose = job.workspace_id if job else workspace.pk if workspace else None
    return AuditEntry.objects.create(
        action=action,
        job=job,
        workspace_id=whose,
        actor=actor,
        via=via or origin.via,
        address=address or (None if via else origin.address),
        request_id=current_request_id(),
        detail={**_about(job), **detail},
    )


def record_file(kind: ExportKind, file: Path, *, actor: User, workspace: Workspace | None = None) -> AuditEntry:
    """An export that a command wrote into a file of somebody's own, of which there is no job."""
    told = {"kind": kind.value, "file": str(file.absolute())}
    return record(AuditAction.DOWNLOADED, job=None, actor=actor, workspace=workspace, **told)


def _about(job: ExportJob | None) -> dict[str, Any]:
    """What is still to be known when the artifact is gone."""
    if job is None:
        return {}
    made = {"filename": job.filename, "sha256": job.sha256, "size": job.size} if job.sha256 else {}
    return {"kind": job.kind, **made}
