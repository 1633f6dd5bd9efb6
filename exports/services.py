"""The only code that writes export jobs: asking for one, and doing it."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import IO, Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone

from automation.models import Run
from exports import verification
from exports.artifacts import clear_attempts, folder_of, gone, require_artifact, require_right
from exports.audit import record
from exports.markdown_export import write_archive
from exports.models import AuditAction, ExportJob, ExportKind
from exports.sql_backup import write_backup
from kjxlkj.errors import Conflict
from kjxlkj.jobs import services as jobs
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.models import LONG_QUEUE, JobStatus
from kjxlkj.jobs.outcomes import Retry
from kjxlkj.jobs.registry import Effects
from kjxlkj.notes.attachments import CHUNK_BYTES
from kjxlkj.notes.filters import condition_q
from kjxlkj.storing import StorageFault, keep, staged, storage_faults
from kjxlkj.workspaces.events import NewEvent, record_for_each
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.roles import Right, require, require_superuser


def request_markdown_export(
    workspace: Workspace, *, actor: User, condition: Mapping[str, Any] | None = None
) -> ExportJob:
    """Queue an archive of the notes that meet `condition`. Raises `ConditionInvalid` and errors of `roles.require`."""
    require(actor, workspace, Right.MANAGE, archived=True)
    return queue_markdown_export(workspace, created_by=actor, condition=condition or {})


@transaction.atomic
def queue_markdown_export(
    workspace: Workspace, *, created_by: User | None, condition: Mapping[str, Any], run: Run | None = None
) -> ExportJob:
    """As `request_markdown_export`, for a rule, whose author was asked for the right when it was written."""
    condition_q(condition)
    return _queued(
        ExportJob(
            kind=ExportKind.MARKDOWN,
            workspace=workspace,
            run=run,
            condition_json=dict(condition),
            created_by=created_by,
        ),
        by_rule=run is not None,
    )


def request_backup(*, actor: User) -> ExportJob:
    """Queue a SQL backup of the database. Raises `Forbidden` ROLE_FORBIDDEN to all but superusers."""
    require_superuser(actor)
    return queue_backup(created_by=actor)


@transaction.atomic
def queue_backup(*, created_by: User | None, run: Run | None = None) -> ExportJob:
    """As `request_backup`, for a rule, which only a superuser can have written."""
    return _queued(ExportJob(kind=ExportKind.SQL, run=run, created_by=created_by), by_rule=run is not None)


def _queued(job: ExportJob, *, by_rule: bool = False) -> ExportJob:
    job.queue = LONG_QUEUE
    job.save(force_insert=True)
    jobs.enqueue(job)
    record(AuditAction.REQUESTED, job=job, actor=job.created_by, via="rule" if by_rule else None)
    return job


def cancel_export(job: ExportJob, *, actor: User) -> ExportJob:
    """Raises `Conflict` JOB_FINISHED and errors of `roles.require`."""
    require_right(actor, job)
    jobs.cancel(job, detail=f"cancelled by {actor}")
    job.refresh_from_db()
    return job


@transaction.atomic
def retry_export(job: ExportJob, *, actor: User) -> ExportJob:
    """A new export of the same. Raises `Conflict` EXPORT_NOT_FAILED, `ConditionInvalid`, errors of `roles.require`."""
    require_right(actor, job)
    job = ExportJob.objects.select_for_update(no_key=True, of=["self"]).select_related("workspace").get(pk=job.pk)
    if job.status != JobStatus.FAILED:
        raise Conflict("EXPORT_NOT_FAILED", f"The export is {job.status}; only a failed export can be tried again.")
    condition_q(job.condition_json)
    return _queued(
        ExportJob(
            kind=job.kind,
            workspace=job.workspace,
            run_id=job.run_id,
            condition_json=job.condition_json,
            subject_id=job.subject_id,
            created_by=actor,
        )
    )


def open_artifact(job: ExportJob) -> IO[bytes]:
    """What the export made, to be read here. Raises `Conflict` as `require_artifact`, `StorageFault`."""
    require_artifact(job)
    try:
        with storage_faults():
            artifact: IO[bytes] = job.file.open("rb")
    except FileNotFoundError as error:
        raise gone() from error
    return artifact


# --- Executing (called by kjxlkj.jobs) ------------------------------------------------------------


def work(job: ExportJob, lease: Lease) -> Effects | None:
    try:
        with storage_faults():
            if job.kind == ExportKind.VERIFY:
                return verification.work(job, lease)
            _make(job, lease)
    except StorageFault as fault:
        if fault.may_pass:
            raise Retry(fault.code, fault.message) from fault
        raise
    return verification.follow_up(job) if job.kind == ExportKind.SQL else None


def leaves_a_backup(job: ExportJob) -> bool:
    """A file that another attempt would take away: maybe the very one from which the job itself was restored."""
    return job.kind == ExportKind.SQL


def _make(job: ExportJob, lease: Lease) -> None:
    """Make the artifact. It is the job's, whole and named, before the job is said to have succeeded."""
    clear_attempts(job)
    make = _write_backup if job.kind == ExportKind.SQL else _write_archive
    with staged() as file:
        job.filename, job.summary_json = make(job, lease, file)
        job.size, job.sha256 = file.seek(0, os.SEEK_END), _sha256(file)
        # The token in the name: a worker that was thought dead and comes back cannot touch a later one's file.
        name = f"{folder_of(job)}/{lease.token}{os.path.splitext(job.filename)[1]}"
        if job.kind == ExportKind.SQL:
            _keep_manifest(job, f"{name}.json")
        job.file = keep(file, name, lease.check)
    # Before the job's last step, which the database refuses to a job without an artifact.
    with transaction.atomic(durable=True):
        lease.guard()
        job.save(update_fields=["file", "filename", "size", "sha256", "summary_json"])


def _write_archive(job: ExportJob, lease: Lease, file: IO[bytes]) -> tuple[str, dict[str, Any]]:
    workspace = Workspace.objects.get(exports=job)

    def on_progress(done: int, total: int) -> None:
        lease.check()
        lease.progress(done, total, "files")

    summary = write_archive(file, workspace, job.condition_json, on_progress)
    today = timezone.now().astimezone(ZoneInfo(workspace.time_zone)).date()
    return f"{workspace.slug}-{today.isoformat()}.zip", summary.as_json()


def _write_backup(job: ExportJob, lease: Lease, file: IO[bytes]) -> tuple[str, dict[str, Any]]:
    def on_progress(done: int, total: int | None, label: str) -> None:
        lease.check()
        lease.progress(done, total, label)

    manifest = write_backup(file, on_progress)
    return f"kjxlkj-{timezone.now().date().isoformat()}.dump", manifest


def _keep_manifest(job: ExportJob, name: str) -> None:
    """Beside the dump, which can so be restored where its database is no more. Before it: a disk that is full now
    shall not keep a dump that nobody knows of."""
    told = {"sha256": job.sha256, "size": job.size, **job.summary_json}
    with staged() as file:
        file.write(json.dumps(told, indent=2, ensure_ascii=False).encode())
        keep(file, name)


def _sha256(file: IO[bytes]) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(CHUNK_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def announce(jobs: Sequence[ExportJob], previous: str | None) -> None:
    """The workspace events of a transition of `jobs`, in its transaction. A backup belongs to no workspace."""
    prefetch_related_objects(jobs, "created_by")
    record_for_each([(job.workspace_id, _transition(job)) for job in jobs if job.workspace_id])


def _transition(job: ExportJob) -> NewEvent:
    payload: dict[str, Any] = {"export_id": str(job.pk), "kind": job.kind, "attempt": job.attempts}
    if job.status == JobStatus.SUCCEEDED:
        payload |= {"filename": job.filename, "size": job.size, "sha256": job.sha256}
    if job.error_code:
        payload |= {"code": job.error_code, "detail": job.error_detail[:500]}
    return NewEvent(f"export.{job.status}", payload=payload, actor=job.created_by, run_id=job.run_id)
