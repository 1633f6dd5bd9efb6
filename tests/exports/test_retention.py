"""Which artifacts are deleted in time, and what is left in any case."""

import os
import threading
import time
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from exports import retention
from exports.artifacts import clear_orphans, delete_artifact
from exports.audit import record
from exports.models import AuditAction, AuditEntry, ExportJob
from exports.retention import keep_to_limits
from kjxlkj.jobs import recovery
from kjxlkj.workspaces.services import create_workspace
from tests.exports.conftest import finished
from tests.jobs.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def limits(settings):
    """None at first."""
    for name in ("KEEP_BACKUPS", "KEEP_BACKUPS_DAYS", "KEEP_ARCHIVES", "KEEP_ARCHIVES_DAYS"):
        setattr(settings, name, 0)
    return settings


def left() -> set:
    """Whose file is in the storage; the rows say the same."""
    live = set(ExportJob.objects.filter(deleted_at=None).exclude(file="").values_list("pk", flat=True))
    assert {job.pk for job in ExportJob.objects.exclude(file="") if default_storage.exists(job.file.name)} == live
    return live


def test_without_limits_everything_is_kept(workspace):
    jobs = {finished(workspace=workspace, days_ago=days).pk for days in (0, 4000)}
    assert keep_to_limits() == 0
    assert left() == jobs


def test_the_newest_of_each_workspace_and_kind_are_kept(workspace, owner, limits):
    other = create_workspace(slug="other", name="Other", owner=owner)
    limits.KEEP_ARCHIVES, limits.KEEP_BACKUPS = 2, 1
    archives = [finished(workspace=each, days_ago=days).pk for each in (workspace, other) for days in (1, 2, 3)]
    backups = [finished("sql", days_ago=days).pk for days in (1, 2)]
    assert keep_to_limits() == 3
    assert left() == {*archives[:2], *archives[3:5], backups[0]}
    assert keep_to_limits() == 0


def test_archives_of_a_part_push_no_archive_of_the_whole_out(workspace, limits):
    limits.KEEP_ARCHIVES, limits.KEEP_ARCHIVES_DAYS = 2, 30
    whole = finished(workspace=workspace, days_ago=90)
    parts = [finished(workspace=workspace, days_ago=days) for days in range(3)]
    ExportJob.objects.filter(pk__in=[job.pk for job in parts]).update(condition_json={"tags": ["a"]})
    other = finished(workspace=workspace, days_ago=80)
    ExportJob.objects.filter(pk=other.pk).update(condition_json={"tags": ["b"]})
    assert keep_to_limits() == 1
    assert left() == {whole.pk, other.pk, parts[0].pk, parts[1].pk}


def test_what_is_too_old_goes_but_for_the_last(workspace, limits):
    limits.KEEP_ARCHIVES_DAYS = 30
    old, older = (finished(workspace=workspace, days_ago=days) for days in (31, 40))
    keep_to_limits()
    assert left() == {old.pk}
    young = finished(workspace=workspace, days_ago=29)
    keep_to_limits()
    assert left() == {young.pk}
    assert older.pk not in left()


def test_the_last_backup_and_the_last_that_came_back_stay_whatever_their_age(limits):
    limits.KEEP_BACKUPS, limits.KEEP_BACKUPS_DAYS = 1, 1
    finished("sql", days_ago=90, verified=True)
    well = finished("sql", days_ago=80, verified=True)
    finished("sql", days_ago=70, verified=False)
    finished("sql", days_ago=60)
    last = finished("sql", days_ago=50, verified=False)
    assert keep_to_limits() == 3
    assert left() == {well.pk, last.pk}


def test_a_backup_that_is_being_checked_stays(limits):
    limits.KEEP_BACKUPS = 1
    checked, last = finished("sql", days_ago=2), finished("sql", days_ago=1)
    ExportJob.objects.create(kind="verify", subject=checked)
    assert keep_to_limits() == 0
    assert left() == {checked.pk, last.pk}


def test_until_when_each_is_kept_is_noted(workspace, limits):
    limits.KEEP_ARCHIVES_DAYS = 30
    old, last = finished(workspace=workspace, days_ago=10), finished(workspace=workspace)
    keep_to_limits()
    old.refresh_from_db()
    last.refresh_from_db()
    assert old.expires_at == old.finished_at + timedelta(days=30)
    assert last.expires_at is None
    limits.KEEP_ARCHIVES_DAYS = 0
    keep_to_limits()
    old.refresh_from_db()
    assert old.expires_at is None


def test_a_deletion_is_audited_as_of_itself(workspace, limits):
    limits.KEEP_ARCHIVES = 1
    old, _ = finished(workspace=workspace, days_ago=1), finished(workspace=workspace)
    keep_to_limits()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.job, entry.actor, entry.via, entry.address) == ("deleted", old, None, "retention", None)
    assert (entry.detail["filename"], entry.detail["sha256"]) == (old.filename, old.sha256)
    assert entry.workspace == workspace


def test_what_a_killed_one_has_marked_and_not_deleted_is_deleted_by_the_next(workspace, limits, monkeypatch):
    limits.KEEP_ARCHIVES = 1
    old, last = finished(workspace=workspace, days_ago=1), finished(workspace=workspace)

    def killed(job):
        raise KeyboardInterrupt

    monkeypatch.setattr(retention, "clear", killed)
    with pytest.raises(KeyboardInterrupt):
        keep_to_limits()
    assert default_storage.exists(old.file.name)
    old.refresh_from_db()
    assert old.deleted_at is not None
    assert clear_orphans() == 1
    assert left() == {last.pk}
    assert default_storage.listdir("exports")[0] == [str(last.pk)]


def test_two_hosts_at_once_delete_each_once(workspace, limits):
    limits.KEEP_ARCHIVES = 1
    jobs = [finished(workspace=workspace, days_ago=days) for days in range(12)]
    start, deleted = threading.Barrier(3), []

    def host():
        start.wait()
        deleted.append(keep_to_limits())
        connection.close()

    threads = [threading.Thread(target=host) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(deleted) == 11
    assert AuditEntry.objects.count() == 11
    assert left() == {jobs[0].pk}


# --- Orphans --------------------------------------------------------------------------------------


def orphan(folder, *, days_ago):
    name = default_storage.save(f"exports/{folder}/left.zip", ContentFile(b"x"))
    then = time.time() - days_ago * 86400
    os.utime(default_storage.path(name), (then, then))
    return name


def test_a_file_that_its_job_does_not_list_goes_after_a_day(workspace):
    job = finished(workspace=workspace)
    young, old = orphan(job.pk, days_ago=0.9), orphan(job.pk, days_ago=1.1)
    beside = default_storage.save(f"{job.file.name}.json", ContentFile(b"{}"))
    os.utime(default_storage.path(beside), (0, 0))
    assert clear_orphans() == 1
    assert not default_storage.exists(old)
    assert default_storage.exists(young)
    assert default_storage.exists(beside)
    assert default_storage.exists(job.file.name)


def test_what_a_failed_export_left_goes_with_its_folder(workspace, owner):
    job = ExportJob.objects.create(kind="markdown", workspace=workspace)
    ExportJob.objects.filter(pk=job.pk).update(status="failed", error_code="X", finished_at=timezone.now())
    orphan(job.pk, days_ago=2)
    assert clear_orphans() == 1
    assert default_storage.listdir("exports")[0] == []


def test_a_file_that_cannot_be_touched_leaves_no_other_behind(workspace, caplog):
    stuck, others = finished(workspace=workspace), [finished(workspace=workspace) for _ in range(4)]
    names = {job.pk: orphan(job.pk, days_ago=2) for job in [stuck, *others]}
    loop = os.path.join(os.path.dirname(default_storage.path(names[stuck.pk])), "loop")
    os.symlink(loop, loop)
    assert clear_orphans() == 4
    assert str(stuck.pk) in caplog.text
    os.unlink(loop)
    assert clear_orphans() == 1


def test_a_file_that_cannot_be_touched_is_no_failure_of_its_deletion(workspace, owner):
    job = finished(workspace=workspace)
    folder = os.path.dirname(default_storage.path(job.file.name))
    os.rename(folder, f"{folder}.there")
    open(folder, "w").close()
    delete_artifact(job, actor=owner)
    os.remove(folder)
    os.rename(f"{folder}.there", folder)
    assert clear_orphans() == 1
    assert left() == set()


def test_what_another_host_deletes_meanwhile_is_gone(workspace, monkeypatch):
    job = finished(workspace=workspace)
    orphans = [orphan(job.pk, days_ago=2) for _ in range(3)]
    look = type(default_storage._wrapped).get_modified_time

    def deleted_before(storage, name):
        if name == orphans[0]:
            storage.delete(name)
        return look(storage, name)

    monkeypatch.setattr(type(default_storage._wrapped), "get_modified_time", deleted_before)
    assert clear_orphans() == 2
    assert left() == {job.pk}


def test_the_file_of_an_export_that_failed_after_it_goes_with_all_beside_it(workspace, owner):
    """Killed or cancelled between its file and its end."""
    job = ExportJob.objects.create(kind="sql")
    young = ExportJob.objects.create(kind="sql")
    for each, days_ago in ((job, 2), (young, 0.5)):
        name = orphan(each.pk, days_ago=days_ago)
        beside = default_storage.save(f"{name}.json", ContentFile(b"{}"))
        then = time.time() - days_ago * 86400
        os.utime(default_storage.path(beside), (then, then))
        ExportJob.objects.filter(pk=each.pk).update(
            status="failed", error_code="CANCELLED", finished_at=timezone.now(), file=name
        )
    assert clear_orphans() == 2
    assert default_storage.listdir("exports")[0] == [str(young.pk)]


def test_files_of_jobs_that_nobody_knows_stay(workspace):
    names = [orphan("0193b7a0-0000-7000-8000-000000000000", days_ago=9), orphan("notes of mine", days_ago=9)]
    assert clear_orphans() == 0
    assert all(default_storage.exists(name) for name in names)


def test_what_was_there_when_the_database_was_restored_stays(workspace):
    """A backup's own row is unfinished in it: what it was restored from would be an orphan."""
    job = ExportJob.objects.create(kind="sql")
    ExportJob.objects.filter(pk=job.pk).update(status="failed", error_code="X", finished_at=timezone.now())
    restored_from = orphan(job.pk, days_ago=2)
    record(AuditAction.RESTORED, job=None, actor=None)
    assert clear_orphans() == 0
    assert default_storage.exists(restored_from)


def test_the_first_sweep_after_a_start_deletes_nothing(workspace, limits):
    """Whoever has upgraded can still say that all are to be kept."""
    limits.KEEP_ARCHIVES = 1
    jobs = {finished(workspace=workspace, days_ago=days).pk for days in (0, 1)}
    recovery.sweep()
    wait_for(lambda: not tidying())
    assert left() == jobs


def test_a_second_thread_is_not_begun_while_one_is_at_it(monkeypatch):
    begun, go_on = [], threading.Event()
    monkeypatch.setattr(retention, "keep_to_limits", lambda: begun.append(1) or go_on.wait())
    retention.tidy()
    wait_for(lambda: begun)
    retention.tidy()
    try:
        assert len(tidying()) == 1
    finally:
        go_on.set()
    wait_for(lambda: not tidying())


def test_a_disk_that_fails_ends_no_thread_loudly(monkeypatch, caplog):
    def fail():
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(retention, "keep_to_limits", fail)
    retention.tidy()
    wait_for(lambda: not tidying())
    assert "exports cannot be tidied" in caplog.text


def tidying():
    return [thread for thread in threading.enumerate() if thread.name == "tidying exports"]


def test_the_sweep_does_all_of_it(workspace, limits, monkeypatch):
    limits.KEEP_ARCHIVES = 1
    finished(workspace=workspace, days_ago=1)
    last = finished(workspace=workspace)
    monkeypatch.setattr("kjxlkj.jobs.registry._chores", [retention.tidy])
    recovery.sweep()
    wait_for(lambda: ExportJob.objects.exclude(deleted_at=None).count() == 1)
    wait_for(lambda: not tidying())
    assert left() == {last.pk}
