"""`manage.py backup_sql`."""

import hashlib
import json
import subprocess

import pytest
from django.core.management import CommandError, call_command

from exports.management.commands import backup_sql
from exports.models import ExportJob
from exports.sql_backup import write_backup
from kjxlkj.embedded_postgres.server import binaries

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_orders_a_backup(capsys):
    call_command("backup_sql")
    job = ExportJob.objects.get()
    assert capsys.readouterr().out.strip() == str(job.pk)
    assert (job.kind, job.status) == ("sql", "queued")


def test_it_writes_one_whole_in_place_of_the_former_with_its_manifest(notes, tmp_path, capsys):
    target = tmp_path / "out" / "all.dump"
    target.parent.mkdir()
    target.write_text("the former one")
    call_command("backup_sql", "--to", str(target))
    beside = tmp_path / "out" / "all.dump.json"
    assert set(target.parent.iterdir()) == {target, beside}
    manifest = json.loads(beside.read_text())
    assert manifest["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert (manifest["size"], manifest["tables"]["public.notes_note"]["rows"]) == (target.stat().st_size, 3)
    listed = subprocess.run([binaries() / "pg_restore", "--list", target], capture_output=True, text=True, check=True)
    assert "TABLE DATA public notes_note" in listed.stdout
    assert manifest["sha256"] in capsys.readouterr().out
    assert not ExportJob.objects.exists()


@pytest.mark.parametrize("to", [False, True])
def test_a_named_person_needs_to_be_a_superuser(owner, superuser, tmp_path, to):
    arguments = ["--to", str(tmp_path / "all.dump")] if to else []
    for email in (owner.email, "nobody@example.com"):
        with pytest.raises(CommandError) as error:
            call_command("backup_sql", "--as", email, *arguments)
        assert error.value.returncode == 2
    assert list(tmp_path.glob("all*")) == []
    assert not ExportJob.objects.exists()
    call_command("backup_sql", "--as", superuser.email)
    assert ExportJob.objects.get().created_by == superuser


@pytest.mark.parametrize("folder", ["all.dump", "all.dump.json"])
def test_a_folder_is_refused_before_anything_is_dumped(tmp_path, monkeypatch, folder):
    monkeypatch.setattr(backup_sql, "write_backup", lambda file: pytest.fail("it was dumped"))
    (tmp_path / folder).mkdir()
    with pytest.raises(CommandError, match=f"{folder} is a folder"):
        call_command("backup_sql", "--to", str(tmp_path / "all.dump"))
    assert list(tmp_path.rglob("*all*")) == [tmp_path / folder]


def test_a_dump_that_cannot_take_its_name_has_no_manifest(tmp_path, monkeypatch):
    """A folder came there while it was made."""
    target = tmp_path / "all.dump"

    def write(file):
        target.mkdir()
        return write_backup(file)

    monkeypatch.setattr(backup_sql, "write_backup", write)
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("backup_sql", "--to", str(target))
    assert list(tmp_path.rglob("*all*")) == [target]


def test_help_tells_what_is_not_in_it():
    assert "Attachments are files and not in it" in backup_sql.Command.help


def test_a_target_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("backup_sql", "--to", str(tmp_path / "nowhere" / "all.dump"))
