"""Who did what with all that leaves the instance and comes back: written beside the deed, never changed."""

from typing import Any

from exports.models import AuditAction, AuditEntry, ExportJob
from kjxlkj.request_id import current_request_id
from kjxlkj.workspaces.models import User


def record(
    action: AuditAction,
    *,
    job: ExportJob | None,
    actor: User | None,
    via: str = "command",
    address: str | None = None,
    **detail: Any,
) -> AuditEntry:
    """In the caller's transaction, if there is one. `actor` None: it was done by itself."""
    return AuditEntry.objects.create(
        action=action,
        job=job,
        actor=actor,
        via=via,
        address=address,
        request_id=current_request_id(),
        detail=detail,
    )
