"""What finished exports have left in the storage: handed out, deleted by hand, and cleared where no job lists it."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from exports.audit import record
from exports.models import AuditAction, AuditEntry, ExportJob
from kjxlkj.errors import Conflict
from kjxlkj.jobs.bounded import bounded_transaction
from kjxlkj.jobs.models import FINISHED, JobStatus
from kjxlkj.storing import StorageFault, storage_faults
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import Right, require, require_superuser

logger = logging.getLogger(__name__)

ROOT = "exports"
# A file that no job lists may be about to be listed.
_ORPHAN_AGE = timedelta(days=1)
# A success that is older has been looked at many times.
_LOOKED_AT_FOR = timedelta(days=7)
_AT_ONCE = 1000
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DELETING_LOCK = 0x6B6A7872  # any number that nobody else uses for an advisory lock


def folder_of(job: ExportJob) -> str:
    return f"{ROOT}/{job.pk}"


def require_right(actor: User, job: ExportJob) -> None:
    """The right to order, end and delete such a job's. A backup is of no workspace, but of all of them."""
    if job.workspace is None:
        require_superuser(actor)
    else:
        require(actor, job.workspace, Right.MANAGE, archived=True)


def require_artifact(job: ExportJob) -> None:
    """Raises `Conflict` EXPORT_NOT_READY, EXPORT_FAILED, EXPORT_GONE, EXPORT_WITHOUT_ARTIFACT."""
    if job.status == JobStatus.FAILED:
        raise Conflict("EXPORT_FAILED", f"The export failed: {job.error_code}. Ask for a new one.")
    if job.status != JobStatus.SUCCEEDED:
        raise Conflict("EXPORT_NOT_READY", f"The export is {job.status}. Ask again when it has succeeded.")
    if job.deleted_at is not None:
        raise Conflict("EXPORT_GONE", f"The file was deleted on {job.deleted_at:%d %B %Y}. Ask for a new export.")
    if not job.file:
        raise Conflict("EXPORT_WITHOUT_ARTIFACT", "A check makes no file. Download the backup that it checked.")


def gone() -> Conflict:
    return Conflict("EXPORT_GONE", "The file is not in the storage any more. Ask for a new export.")


def delete_artifact(job: ExportJob, *, actor: User) -> ExportJob:
    """Take a finished export's file out of the storage; that it was there stays to be seen.

    Raises `Conflict` of `require_artifact` or EXPORT_IN_USE, errors of `require_right`.
    """
    require_right(actor, job)
    with deleting():
        job = ExportJob.objects.select_for_update(no_key=True, of=["self"]).select_related("workspace").get(pk=job.pk)
        require_artifact(job)
        if job.checks.exclude(status__in=FINISHED).exists():
            raise Conflict("EXPORT_IN_USE", "The backup is being checked. Delete it when the check has ended.")
        mark_deleted(job, actor=actor)
    clear(job)
    return job


@contextmanager
def deleting() -> Iterator[None]:
    """A transaction in which artifacts are chosen and marked, one over all hosts: of two that delete at once, neither
    counts on what the other takes."""
    with bounded_transaction():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_DELETING_LOCK])
        yield


def mark_deleted(job: ExportJob, *, actor: User | None, via: str | None = None) -> None:
    """From here on it is gone for everybody; the file follows with `clear`, now or with the next sweep."""
    job.deleted_at = timezone.now()
    job.save(update_fields=["deleted_at"])
    record(AuditAction.DELETED, job=job, actor=actor, via=via)


def clear(job: ExportJob) -> None:
    """Delete what lies in the storage for a job whose artifact is marked as deleted."""
    try:
        with storage_faults():
            for name in _names(job):
                default_storage.delete(name)
            _remove_folder(job)
    except (StorageFault, OSError) as fault:
        logger.warning("the artifact of export %s is still in the storage, until the next try: %s", job.pk, fault)


def clear_attempts(job: ExportJob) -> None:
    """What attempts at an export that were cut off have left."""
    restored_at = _last_restored_at()
    for name in _names(job):
        with suppress(FileNotFoundError):
            if restored_at is None or default_storage.get_modified_time(name) > restored_at:
                default_storage.delete(name)


def clear_orphans() -> int:
    """Delete files that no job lists, a day after they were written. Returns how many.

    Of files whose job nobody knows nothing is said here: a database that was restored does not know what came later.
    For the same reason all is left alone that was there when it was restored, the backup that it came from above all.
    """
    with storage_faults():
        found = [folder for folder in _folders() if _UUID.fullmatch(folder)]
        lately = timezone.now() - _LOOKED_AT_FOR
        jobs = ExportJob.objects.filter(Q(status=JobStatus.FAILED) | Q(deleted_at__isnull=False) | _finished(lately))
        batches = (found[start : start + _AT_ONCE] for start in range(0, len(found), _AT_ONCE))
        restored_at = _last_restored_at()
        return sum(_try_to_clear(job, restored_at) for batch in batches for job in jobs.filter(pk__in=batch))


def _finished(since: datetime) -> Q:
    return Q(status=JobStatus.SUCCEEDED, finished_at__gt=since)


def _try_to_clear(job: ExportJob, restored_at: datetime | None) -> int:
    """What cannot be touched of one keeps nothing of the others."""
    try:
        with storage_faults():
            return _clear_unlisted(job, restored_at)
    except (StorageFault, OSError) as fault:
        logger.warning("what export %s has left is still in the storage, until the next try: %s", job.pk, fault)
        return 0


def _clear_unlisted(job: ExportJob, restored_at: datetime | None) -> int:
    is_deleted = job.deleted_at is not None
    # One that failed between its file and its end has a name of it, too.
    listed = job.file.name if job.status == JobStatus.SUCCEEDED and not is_deleted else ""
    newest = timezone.now() - _ORPHAN_AGE
    cleared = 0
    for name in _names(job):
        if listed and name.startswith(listed):
            continue  # with what lies beside it under its name, as a manifest
        with suppress(FileNotFoundError):  # another host was faster
            written_at = default_storage.get_modified_time(name)
            if is_deleted or (written_at < newest and (restored_at is None or written_at > restored_at)):
                default_storage.delete(name)
                cleared += 1
    if is_deleted or job.status == JobStatus.FAILED:
        _remove_folder(job)
    return cleared


def _last_restored_at() -> datetime | None:
    return AuditEntry.objects.filter(action=AuditAction.RESTORED).values_list("at", flat=True).first()


def _folders() -> list[str]:
    with suppress(FileNotFoundError):
        return list(default_storage.listdir(ROOT)[0])
    return []


def _names(job: ExportJob) -> list[str]:
    with suppress(FileNotFoundError):
        return [f"{folder_of(job)}/{name}" for name in default_storage.listdir(folder_of(job))[1]]
    return []


def _remove_folder(job: ExportJob) -> None:
    """Where the storage has folders, and if it is empty."""
    with suppress(OSError):
        default_storage.delete(folder_of(job))
