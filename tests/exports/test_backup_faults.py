"""Workers that are killed in the middle of a backup or of its verification, and disks that are full."""

import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager

import psutil
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now

from exports import scratch
from exports.attachment_folder import copy_out
from exports.models import ExportJob, ExportKind
from exports.services import request_backup
from kjxlkj.jobs import recovery
from tests.exports.conftest import execute
from tests.exports.test_verification import attach, made_for
from tests.faults.running import ROOT
from tests.jobs.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

# A worker that gets no further than a place, and says so.
_STOPPED = """
import sys, time
import django
django.setup()
from django.conf import settings
from exports import programs, scratch, services, sql_backup, verification
from kjxlkj.jobs.services import execute

place, job, settings.MEDIA_ROOT, hanging = sys.argv[1:]

def stop(*arguments, **named):
    print("HERE", flush=True)
    time.sleep(600)

if place == "dumping":
    sql_backup.find_pg_dump = lambda: programs.Program(hanging, "99.1", 99)
else:
    room = {"_keep_manifest": services, "follow_up": verification, "fill": scratch, "differences": verification}[place]
    setattr(room, place, stop)
execute("exports.exportjob", job)
"""


@pytest.fixture
def worker(files, tmp_path):
    """Start one for a job, which stops at a place; all are killed at the end."""
    hanging = tmp_path / "pg_dump"
    hanging.write_text('#!/bin/sh\nprintf PGDMPhalf\necho $$ > "$0.pid"\nexec sleep 600\n')
    hanging.chmod(0o755)
    processes = []

    def start(place, job):
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "KJXLKJ_TEST_DATABASE": connection.settings_dict["NAME"],
        }
        arguments = [place, str(job.pk), str(files), str(hanging)]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", _STOPPED, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_a_worker_that_is_killed_anywhere_leaves_nothing_that_counts_and_the_next_one_begins_anew(
    worker, superuser, notes, files, tmp_path
):
    verified = execute(request_backup(actor=superuser))
    jobs = {place: request_backup(actor=superuser) for place in ("dumping", "_keep_manifest", "follow_up")}
    jobs["fill"] = ExportJob.objects.get(subject=verified)
    another = execute(request_backup(actor=superuser))
    jobs["differences"] = ExportJob.objects.get(subject=another)
    workers = {place: worker(place, job) for place, job in jobs.items()}
    for place, process in workers.items():
        if place != "dumping":
            assert "HERE\n" in iter(process.stdout.readline, "")
    pid = tmp_path / "pg_dump.pid"
    program = psutil.Process(int(wait_for(lambda: pid.exists() and pid.read_text())))
    checks = jobs["fill"], jobs["differences"]
    assert [len(made_for(check)) for check in checks] == [1, 1]
    for process in workers.values():
        process.send_signal(signal.SIGKILL)
        process.wait()
    # pg_dump dies with its worker.
    wait_for(lambda: not program.is_running() or program.status() == psutil.STATUS_ZOMBIE)
    unfinished = ExportJob.objects.filter(pk__in=[job.pk for job in jobs.values()])
    assert {job.status for job in unfinished} == {"running"}
    unfinished.update(lease_expires_at=Now())
    recovery.sweep()
    for job in jobs.values():
        assert execute(job).status == "succeeded", job.error_detail
    for job in unfinished.filter(kind=ExportKind.SQL):
        left = {path.name for path in (files / "exports" / str(job.pk)).iterdir()}
        assert left == {os.path.basename(job.file.name), f"{os.path.basename(job.file.name)}.json"}
    wait_for(lambda: scratch.drop_leftovers() or not any(made_for(check) for check in checks))


@contextmanager
def files_of_at_most(size):
    """As on a full disk: what this process and its programs write ends there."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))


def test_a_full_disk_leaves_no_backup_and_a_clear_word(superuser, notes, files, tmp_path):
    connection.ensure_connection()
    with files_of_at_most(100_000):
        job = execute(request_backup(actor=superuser))
        assert (job.status, job.error_code, job.file.name) == ("failed", "PG_DUMP_FAILED", "")
        with pytest.raises(CommandError, match="PG_DUMP_FAILED"):
            call_command("backup_sql", "--to", str(tmp_path / "all.dump"))
    assert [path for path in files.rglob("*") if path.is_file()] == []
    assert list(tmp_path.glob("*all*")) == []


def test_a_copy_that_is_torn_by_a_full_disk_is_none(workspace, tmp_path, files):
    attach(workspace, tmp_path, "a.bin", bytes(5000))
    with files_of_at_most(1000), pytest.raises(OSError, match="too large"):
        copy_out(tmp_path / "beside")
    assert [path for path in (tmp_path / "beside").rglob("*") if path.is_file()] == []
    assert copy_out(tmp_path / "beside") == (1, [])
