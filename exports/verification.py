"""Asking for the check of a backup."""

from django.db import transaction

from exports.artifacts import require_artifact
from exports.models import ExportJob, ExportKind
from exports.services import _queued
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import require_superuser


@transaction.atomic
def request_verification(backup: ExportJob, *, actor: User) -> ExportJob:
    """Queue the check that `backup` comes back. Raises `Forbidden` and `Conflict` as `require_artifact`."""
    require_superuser(actor)
    require_artifact(backup)
    return _queued(ExportJob(kind=ExportKind.VERIFY, subject=backup, created_by=actor))
