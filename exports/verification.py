"""The proof that a backup comes back: it is restored into a database of its own and compared; then that is dropped."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from exports import audit, backup_file, scratch
from exports.artifacts import gone
from exports.backup_file import Backup
from exports.differences import Difference, differences, said
from exports.models import AuditAction, ExportJob, ExportKind
from exports.servers import connect
from kjxlkj import storing
from kjxlkj.errors import DomainError
from kjxlkj.jobs import services as jobs
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.models import LONG_QUEUE
from kjxlkj.jobs.outcomes import Incomplete
from kjxlkj.jobs.registry import Effects
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import require_superuser

OnProgress = Callable[[int, int | None, str], object]
Outcome = dict[str, Any]
"""`{"ok", "tables", "rows", "attachments": {"checked", "missing"}, "differences"}`, as the backup keeps it; with
"code" and "message" where it could not be restored."""

DIFFERS = "BACKUP_DIFFERS"
# Of the files that are missing, so many are named.
_NAMED = 10
_ATTACHMENTS = """
    SELECT DISTINCT ON (sha256) path, file, size FROM public.notes_attachment
    WHERE deleted_at IS NULL ORDER BY sha256, path"""


@storing.discreet_faults()
def request_verification(backup: ExportJob, *, actor: User) -> ExportJob:
    """Have a worker try it. Raises `Forbidden`, `StorageFault`, and errors of `backup_file.require_done`."""
    require_superuser(actor)
    backup_file.require_done(backup)
    try:
        storing.require(backup.file.name)
    except FileNotFoundError as error:
        raise gone() from error
    return queue_verification(backup, created_by=actor)


@transaction.atomic
def queue_verification(backup: ExportJob, *, created_by: User | None, via: str | None = None) -> ExportJob:
    """As `request_verification`, for a backup that has just been made. One that waits or is at work will do."""
    ExportJob.objects.select_for_update(no_key=True, of=["self"]).get(pk=backup.pk)
    job: ExportJob | None = ExportJob.objects.unfinished().filter(kind=ExportKind.VERIFY, subject=backup).first()
    if job is None:
        job = ExportJob(kind=ExportKind.VERIFY, subject=backup, created_by=created_by, queue=LONG_QUEUE)
        job.save(force_insert=True)
        jobs.enqueue(job)
        audit.record(AuditAction.REQUESTED, job=job, actor=created_by, via=via)
    return job


def follow_up(backup: ExportJob) -> Effects | None:
    """What a backup's success brings about, in its transaction."""
    if not settings.VERIFY_BACKUPS:
        return None

    def effects() -> None:
        queue_verification(backup, created_by=backup.created_by, via="worker")

    return effects


# --- Doing it -------------------------------------------------------------------------------------


def work(job: ExportJob, lease: Lease) -> Effects:
    """Called by workers. Differences and damage fail the job, and are kept with the backup all the same."""

    def on_progress(done: int, total: int | None, label: str) -> None:
        lease.check()
        lease.progress(done, total, label)

    backup = ExportJob.objects.get(checks=job)
    with backup_file.of_job(backup) as file:
        outcome = examine(file, on_progress, name=_name(job.pk, lease.token))
    keep = partial(_keep, backup, outcome, job=job)
    if not outcome["ok"]:
        raise Incomplete(outcome["code"], outcome["message"], keep)
    return keep


def _name(job_id: UUID, token: UUID) -> str:
    """Of an attempt of its own: whoever was thought dead and comes back meets nobody."""
    return f"{scratch.VERIFY}{job_id.hex}_{token.hex[-8:]}"


def _keep(backup: ExportJob, outcome: Outcome, *, job: ExportJob) -> None:
    keep_outcome(backup, outcome, actor=job.created_by, via="worker")
    ExportJob.objects.filter(pk=job.pk).update(summary_json=outcome)


def keep_outcome(backup: ExportJob, outcome: Outcome, *, actor: User | None, via: str) -> None:
    """With the backup, in the caller's transaction."""
    ExportJob.objects.filter(pk=backup.pk).update(verified_at=timezone.now(), verification_json=outcome)
    audit.record(
        AuditAction.VERIFIED,
        job=backup,
        actor=actor,
        via=via,
        ok=outcome["ok"],
        filename=backup.filename,
        sha256=backup.sha256,
    )


def examine(
    backup: Backup, on_progress: OnProgress = lambda done, total, label: None, *, name: str | None = None
) -> Outcome:
    """Restore the backup, compare, and drop what was restored.

    What is found wrong with the backup is told in the outcome. Raised is what keeps it from being examined:
    `DomainError` PG_RESTORE_MISSING, PG_RESTORE_TOO_OLD, SERVER_TOO_OLD, CREATEDB_MISSING, and what `on_progress` does.
    """
    on_progress(0, None, "reading it")
    scratch.require_server(backup)
    program = scratch.find_pg_restore(backup)
    try:
        backup_file.require_whole(backup)
        with scratch.new_database(name or f"{scratch.VERIFY}{uuid4().hex}") as restored:
            scratch.fill(restored, backup, program, lambda: on_progress(restored.kilobytes, None, "kB restored"))
            found = differences(restored.name, backup, lambda: on_progress(0, None, "comparing it"))
            checked, missing = _attachments(restored.name, on_progress)
    except DomainError as error:
        if error.code not in {"BACKUP_DAMAGED", "PG_RESTORE_FAILED"}:
            raise
        return {"ok": False, "tables": 0, "differences": [], "code": error.code, "message": error.message}
    return _outcome(backup, found, checked, missing)


def _outcome(backup: Backup, found: list[Difference], checked: int, missing: list[Difference]) -> Outcome:
    outcome: Outcome = {
        "ok": not (found or missing),
        "tables": len(backup.tables),
        "rows": sum(told["rows"] for told in backup.tables.values()),
        "attachments": {"checked": checked, "missing": len(missing)},
        "differences": [*found, *missing[:_NAMED]],
    }
    if not outcome["ok"]:
        lacks = f" {len(missing)} of {checked} attachments are not in the storage." if missing else ""
        outcome |= {"code": DIFFERS, "message": f"The backup does not bring everything back.{lacks} {said(found)}"}
    return outcome


def _attachments(database: str, on_progress: OnProgress) -> tuple[int, list[Difference]]:
    """How many contents its notes refer to, and which of them the storage does not have as they should be."""
    missing: list[Difference] = []
    done = 0
    with connect(database) as session, session.cursor(name="attachments") as cursor:
        cursor.execute(_ATTACHMENTS)
        for done, (path, file, size) in enumerate(cursor, 1):
            on_progress(done, None, "attachments looked for")
            found = _size(file)
            if found != size:
                missing.append({"table": f"attachment {path}", "what": "bytes", "expected": size, "found": found})
    return done, missing


def _size(file: str) -> int | None:
    try:
        return default_storage.size(file)
    except FileNotFoundError:
        return None
