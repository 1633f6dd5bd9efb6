"""What is put right in a restored database before anybody uses it: the world outside has gone on since its backup."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axes.models import AccessAttempt
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import transaction

from automation.ticks import skip_missed
from exports import audit
from exports.attachment_folder import bring_back
from exports.models import AuditAction, ExportJob
from kjxlkj.jobs import transitions
from kjxlkj.jobs.revival import Revived, revive
from kjxlkj.jobs.transitions import Progress
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.services import system_user


@dataclass(frozen=True, slots=True)
class Mended:
    jobs: Revived
    brought_back: int
    """Attachments' contents that the storage lacked and the folder had."""
    missing: list[str]
    """Paths of attachments without content."""


def mender(
    *, email: str | None, listed: ExportJob | None, attachments: Path | None, **detail: Any
) -> Callable[[], Mended]:
    """For `restoring.restore`. `listed`: the backup's job, as the former database has it. `detail`: for the audit."""

    def mend() -> Mended:
        # What was learnt of the former database.
        ContentType.objects.clear_cache()
        brought_back, missing = bring_back(attachments)
        with transaction.atomic():
            source = _adopted(listed) if listed else None
            jobs = revive()
            skip_missed()
            # Whoever was logged in then may have been kept out since.
            for model in (Session, AccessAttempt):
                model.objects.all().delete()
            actor = (User.objects.filter(email=email.strip().lower()).first() if email else None) or system_user()
            audit.record(AuditAction.RESTORED, job=source, actor=actor, by=email or "", **detail)
        return Mended(jobs, brought_back, missing)

    return mend


def _adopted(listed: ExportJob) -> ExportJob | None:
    """In the backup, the job that made it was still at it; its file is there, as we know by now."""
    job: ExportJob | None = ExportJob.objects.filter(pk=listed.pk).first()
    if job is None or job.lease_token is None:
        return job
    for field in (what := ["file", "filename", "size", "sha256", "summary_json", "verified_at", "verification_json"]):
        setattr(job, field, getattr(listed, field))
    job.save(update_fields=what)
    transitions.succeed(
        job, job.lease_token, Progress(listed.progress_done, listed.progress_total, listed.progress_label)
    )
    return job
