"""That a backup comes back is tried, told and kept; that one does not, too."""

import json
import shutil
import tempfile
import threading
import uuid

import psycopg
import pytest
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command
from django.db import connection

from exports import scratch, verification
from exports.models import AuditAction, AuditEntry, ExportJob, ExportKind
from exports.servers import address, maintenance
from exports.services import cancel_export, request_backup, retry_export
from exports.verification import queue_verification, request_verification
from kjxlkj.errors import Conflict, DomainError, Forbidden
from kjxlkj.jobs import services as jobs
from kjxlkj.notes.attachments import content_of, save_attachments, store
from tests.exports.conftest import execute
from tests.jobs.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def backup(superuser, notes):
    """One that has succeeded, and waits to be verified."""
    job = execute(request_backup(actor=superuser))
    assert job.status == "succeeded", job.error_detail
    return job


def check_of(backup):
    return ExportJob.objects.get(kind=ExportKind.VERIFY, subject=backup)


def scratch_databases(of):
    """Those whose names begin so: other processes of the suite have theirs on the same server."""
    with maintenance("looking") as session:
        found = session.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [of]).fetchall()
    return [name for (name,) in found]


def made_for(job):
    return scratch_databases(f"kjxlkj_verify_{job.pk.hex}")


def attach(workspace, tmp_path, path, data):
    file = tmp_path / "attached"
    file.write_bytes(data)
    content = content_of(lambda: file.open("rb"))
    store(content, lambda: file.open("rb"))
    save_attachments(workspace.pk, [(path, content)])
    return content


def test_a_backup_is_verified_by_itself_when_it_has_succeeded(backup, superuser):
    job = execute(check_of(backup))
    assert (job.status, job.error_detail, job.created_by) == ("succeeded", "", superuser)
    backup.refresh_from_db()
    rows = sum(told["rows"] for told in backup.summary_json["tables"].values())
    expected = {"ok": True, "rows": rows, "differences": [], "attachments": {"checked": 0, "missing": 0}}
    assert backup.verification_json == {**expected, "tables": len(backup.summary_json["tables"])}
    assert job.summary_json == backup.verification_json
    assert backup.verified_at is not None
    entry = AuditEntry.objects.get(action=AuditAction.VERIFIED)
    assert (entry.job, entry.actor, entry.detail["ok"]) == (backup, superuser, True)
    assert made_for(job) == []


def test_it_is_not_where_the_setting_says_so(superuser, notes, settings):
    settings.VERIFY_BACKUPS = False
    execute(request_backup(actor=superuser))
    assert not ExportJob.objects.filter(kind=ExportKind.VERIFY).exists()


def test_the_manifest_lies_beside_the_dump_in_the_storage(backup, files):
    beside = json.loads((files / f"{backup.file.name}.json").read_text())
    assert beside == {**backup.summary_json, "sha256": backup.sha256, "size": backup.size}


def test_who_asks_twice_is_given_the_check_that_waits(backup, superuser):
    assert request_verification(backup, actor=superuser) == check_of(backup)
    execute(check_of(backup))
    again = request_verification(backup, actor=superuser)
    assert again.status == "queued"
    assert ExportJob.objects.filter(kind=ExportKind.VERIFY).count() == 2


def test_only_a_superuser_has_a_backup_verified_that_is_there(backup, owner, superuser, workspace):
    with pytest.raises(Forbidden):
        request_verification(backup, actor=owner)
    waiting = request_backup(actor=superuser)
    for job, code in ((waiting, "EXPORT_NOT_READY"), (check_of(backup), "NOT_A_BACKUP")):
        with pytest.raises(DomainError) as error:
            request_verification(job, actor=superuser)
        assert error.value.code == code
    backup.file.storage.delete(backup.file.name)
    with pytest.raises(Conflict) as error:
        request_verification(backup, actor=superuser)
    assert error.value.code == "EXPORT_GONE"
    job = execute(check_of(backup))
    assert (job.status, job.error_code) == ("failed", "EXPORT_GONE")


# --- What is wrong with it --------------------------------------------------------------------------


def failed(backup, code):
    job = execute(queue_verification(backup, created_by=None))
    assert (job.status, job.error_code) == ("failed", code), job.error_detail
    backup.refresh_from_db()
    assert backup.verified_at is not None
    told = backup.verification_json
    assert (told["ok"], told["code"], told["message"]) == (False, code, job.error_detail)
    assert AuditEntry.objects.filter(action=AuditAction.VERIFIED).first().detail["ok"] is False
    assert made_for(job) == []
    return told


def test_one_flipped_bit_is_damage_and_so_is_a_torn_file(backup, files):
    path = files / backup.file.name
    whole = path.read_bytes()
    for place in (0, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        failed(backup, "BACKUP_DAMAGED")
    path.write_bytes(whole[:-1])
    assert f"should have {backup.size:,}" in failed(backup, "BACKUP_DAMAGED")["message"]


def test_rows_values_tables_and_sequences_that_did_not_come_back_are_named(backup):
    tables, sequences = backup.summary_json["tables"], backup.summary_json["sequences"]
    tables["public.notes_note"]["rows"] += 1
    tables["public.workspaces_user"]["digest"] = "0"
    tables["public.lost"] = {"rows": 7, "digest": "0"}
    del tables["public.notes_notelink"]
    sequences["public.notes_notename_id_seq"] = [10**6, 10**6]
    ExportJob.objects.filter(pk=backup.pk).update(summary_json=backup.summary_json)
    told = failed(backup, "BACKUP_DIFFERS")
    found = {each["table"]: (each["what"], each["expected"], each["found"]) for each in told["differences"]}
    assert found.pop("public.workspaces_user")[:2] == ("digest", "0")
    assert found.pop("public.notes_notename_id_seq")[:2] == ("sequence", "1000000 to 1000000")
    assert found == {
        "public.notes_note": ("rows", 4, 3),
        "public.lost": ("table", 7, None),
        "public.notes_notelink": ("table", None, 1),
    }
    assert "public.notes_note: rows 3 instead of 4" in told["message"]


def test_a_manifest_of_our_first_format_is_compared_by_its_rows(backup):
    """It had counts, and no digests."""
    told = backup.summary_json
    told["tables"] = {name: figures["rows"] for name, figures in told["tables"].items()}
    for key in ("format", "sequences", "attachments"):
        del told[key]
    ExportJob.objects.filter(pk=backup.pk).update(summary_json=told)
    assert execute(check_of(backup)).status == "succeeded"


def test_attachments_without_their_content_are_counted_and_ten_of_them_named(superuser, notes, workspace, tmp_path):
    contents = [attach(workspace, tmp_path, f"{number}.bin", f"content {number}".encode()) for number in range(13)]
    backup = execute(request_backup(actor=superuser))
    assert backup.summary_json["attachments"]["count"] == 13
    assert backup.summary_json["attachments"]["bytes"] == sum(content.size for content in contents)
    storage = backup.file.storage
    for content in contents[:11]:
        storage.delete(content.name)
    with storage.open(contents[11].name, "wb") as file:
        file.write(b"torn")
    told = failed(backup, "BACKUP_DIFFERS")
    assert told["attachments"] == {"checked": 13, "missing": 12}
    assert len(told["differences"]) == 10
    assert "12 of 13 attachments are not in the storage" in told["message"]


# --- What keeps it from being tried -------------------------------------------------------------------


def test_an_account_that_may_make_no_database_is_told_what_it_lacks(backup):
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS modest")
        cursor.execute("CREATE ROLE modest")
        cursor.execute("SET ROLE modest")

    with psycopg.connect(**address("postgres"), autocommit=True) as session, pytest.raises(DomainError) as error:
        session.execute("SET ROLE modest")
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
        scratch._create(session, "kjxlkj_verify_never")
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE modest")
    assert error.value.code == "CREATEDB_MISSING"
    assert "CREATEDB" in error.value.message


def test_a_cancelled_check_ends_its_program_and_leaves_no_database(backup, superuser, monkeypatch):
    job = check_of(backup)
    filled = threading.Event()
    usual = scratch.fill

    def fill(*arguments):
        usual(*arguments)
        filled.set()

    monkeypatch.setattr(verification.scratch, "fill", fill)
    monkeypatch.setattr(verification, "differences", lambda database, backup, look: wait_for(lambda: look() or False))

    def work():
        jobs.execute("exports.exportjob", job.pk)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert filled.wait(30)
        assert len(made_for(job)) == 1
    finally:
        cancel_export(job, actor=superuser)
        worker.join(20)
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "CANCELLED")
    assert made_for(job) == []
    backup.refresh_from_db()
    assert backup.verified_at is None


def test_what_a_killed_one_left_is_dropped_and_what_one_at_work_has_is_not(backup):
    left, used = f"kjxlkj_verify_{uuid.uuid4().hex}", f"kjxlkj_verify_{uuid.uuid4().hex}"
    with maintenance("made by hand") as session:
        session.execute(f"CREATE DATABASE {left}")
        with maintenance(used):
            session.execute(f"CREATE DATABASE {used}")
            assert execute(check_of(backup)).status == "succeeded"
            assert (scratch_databases(left), scratch_databases(used)) == ([], [used])
    wait_for(lambda: scratch.drop_leftovers() or scratch_databases(used) == [])


def test_a_check_that_failed_is_tried_again_as_a_new_one(backup, superuser, files):
    path = files / backup.file.name
    away = path.with_suffix(".away")
    path.rename(away)
    failed_check = execute(check_of(backup))
    away.rename(path)
    again = execute(retry_export(failed_check, actor=superuser))
    assert (again.status, again.subject) == ("succeeded", backup)


# --- By hand ------------------------------------------------------------------------------------------


def test_the_command_verifies_a_listed_backup_and_keeps_what_it_found(backup, capsys):
    for named in ([str(backup.pk)], ["--latest"]):
        ExportJob.objects.filter(pk=backup.pk).update(verified_at=None)
        call_command("verify_backup", *named)
        assert "It comes back" in capsys.readouterr().out
        backup.refresh_from_db()
        assert backup.verification_json["ok"] is True
        assert backup.verified_at is not None


def test_the_command_verifies_a_file_from_anywhere(notes, tmp_path, capsys):
    call_command("backup_sql", "--to", str(tmp_path / "a.dump"))
    shutil.move(tmp_path / "a.dump", tmp_path / "b.dump")
    with pytest.raises(CommandError, match="MANIFEST_MISSING") as error:
        call_command("verify_backup", str(tmp_path / "b.dump"))
    assert error.value.returncode == 2
    call_command("verify_backup", str(tmp_path / "b.dump"), "--manifest", str(tmp_path / "a.dump.json"))
    assert "It comes back" in capsys.readouterr().out


def test_the_command_ends_with_one_where_it_does_not_come_back(notes, tmp_path):
    path = tmp_path / "a.dump"
    call_command("backup_sql", "--to", str(path))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CommandError, match="BACKUP_DAMAGED") as error:
        call_command("verify_backup", str(path))
    assert error.value.returncode == 1


@pytest.mark.parametrize(
    ("named", "code"),
    [
        (["nowhere.dump"], "BACKUP_NOT_FOUND"),
        ([str(uuid.uuid4())], "EXPORT_NOT_FOUND"),
        (["--latest"], "EXPORT_NOT_FOUND"),
    ],
)
def test_what_is_not_there_is_named(named, code):
    with pytest.raises(CommandError, match=code) as error:
        call_command("verify_backup", *named)
    assert error.value.returncode == 2


def test_the_command_is_for_superusers(backup, owner):
    with pytest.raises(CommandError, match="ROLE_FORBIDDEN"):
        call_command("verify_backup", "--latest", "--as", owner.email)


def test_what_cannot_be_restored_here_is_refused_by_its_manifest(backup):
    for change, code in [
        ({"engine": "sqlite"}, "BACKUP_OF_ANOTHER_ENGINE"),
        ({"format": 3}, "MANIFEST_NEWER"),
        ({"tables": None}, "MANIFEST_INVALID"),
        ({"server_version": "99.1"}, "SERVER_TOO_OLD"),
        ({"dump_version": "99.1"}, "PG_RESTORE_TOO_OLD"),
    ]:
        ExportJob.objects.filter(pk=backup.pk).update(summary_json={**backup.summary_json, **change})
        job = execute(queue_verification(backup, created_by=None))
        assert (job.status, job.error_code) == ("failed", code)
    backup.refresh_from_db()
    assert backup.verified_at is None


# --- Where the storage is elsewhere -------------------------------------------------------------------


class Elsewhere(FileSystemStorage):
    """As a bucket is: it has no paths."""

    def path(self, name):
        raise NotImplementedError

    def _save(self, name, content):
        return FileSystemStorage(self.location)._save(name, content)

    def _open(self, name, mode="rb"):
        return FileSystemStorage(self.location)._open(name, mode)

    def exists(self, name):
        return FileSystemStorage(self.location).exists(name)

    def size(self, name):
        return FileSystemStorage(self.location).size(name)

    def listdir(self, path):
        return FileSystemStorage(self.location).listdir(path)


def test_a_backup_in_a_storage_without_paths_is_fetched_and_the_copy_is_not_kept(
    superuser, notes, workspace, settings, tmp_path, monkeypatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "tmp").mkdir()
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": f"{__name__}.Elsewhere"}}
    attach(workspace, tmp_path, "a.bin", b"a")
    backup = execute(request_backup(actor=superuser))
    assert backup.status == "succeeded", backup.error_detail
    job = execute(check_of(backup))
    assert (job.status, job.summary_json["attachments"]) == ("succeeded", {"checked": 1, "missing": 0})
    assert list((tmp_path / "tmp").iterdir()) == []
    shutil.rmtree(settings.MEDIA_ROOT / "exports")
    job = execute(queue_verification(backup, created_by=None))
    assert (job.status, job.error_code) == ("failed", "EXPORT_GONE")
