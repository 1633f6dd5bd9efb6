"""A backup takes the place of the database, or nothing has happened."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection

from exports import scratch
from exports.models import AuditAction, AuditEntry, ExportJob
from exports.services import open_artifact, request_backup
from kjxlkj.jobs import services as jobs
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note, NoteEvent
from kjxlkj.notes.services import NewNote, create_note
from kjxlkj.workspaces.models import User, Workspace, WorkspaceEvent
from kjxlkj.workspaces.services import create_workspace
from tests.exports.installation import LIVE
from tests.faults.running import ROOT
from tests.jobs.conftest import wait_for

# One server for all of them, in whichever process.
pytestmark = pytest.mark.xdist_group("restoring")


@pytest.fixture
def installation(new_installation):
    """A database with one workspace and three notes."""
    owner = User.objects.create(email="owner@example.com", name="Owner", is_superuser=True)
    workspace = create_workspace(slug="team", name="Team", owner=owner)
    for title in ("Plan", "Log", "Näme 𝄞"):
        create_note(workspace, NewNote(title, f"About {title}.\n"), cause=by(owner))
    return new_installation


@pytest.fixture
def dump(installation, tmp_path):
    path = tmp_path / "all.dump"
    call_command("backup_sql", "--to", str(path))
    return path


def state():
    """Every note, version and event."""
    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in (Workspace, Note, NoteEvent, WorkspaceEvent)
    }


def more(title="Later"):
    create_note(Workspace.objects.get(), NewNote(title), cause=by(User.objects.get(name="Owner")))


def restore(*arguments):
    call_command("restore_backup", *map(str, arguments))


def refused(code, *arguments):
    with pytest.raises(CommandError) as error:
        restore(*arguments)
    assert f"[{code}]" in str(error.value)
    assert error.value.returncode == 2
    return str(error.value)


# --- It comes back --------------------------------------------------------------------------------


def test_whatever_became_of_the_database_the_backup_takes_its_place(installation, dump, capsys):
    before = state()
    Session.objects.create(session_key="stale", expire_date="2099-01-01T00:00Z")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE librarian_operation CASCADE")
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE notes_note SET body = 'gone'")
        cursor.execute("DELETE FROM notes_notelink")
    restore(dump, "--replace", "--yes")
    told = capsys.readouterr().out
    former = re.search(r"kept as (live_before_\d{8}T\d{12})", told)[1]
    assert installation.databases() == {LIVE, former}
    assert state() == before
    assert not Session.objects.exists()
    call_command("migrate", "--check", verbosity=0)
    entry = AuditEntry.objects.get(action=AuditAction.RESTORED)
    assert (entry.via, entry.detail["filename"]) == ("command", "all.dump")
    # The former one is there, as it was.
    assert installation.sql("SELECT DISTINCT body FROM notes_note", database=former) == [("gone",)]


def test_an_empty_database_needs_no_leave_and_none_of_it_is_kept(installation, dump):
    before = state()
    connection.close()
    installation.clear()
    installation.make(LIVE)
    restore(dump)
    assert state() == before
    assert installation.databases() == {LIVE}


def test_a_new_installation_counts_as_empty(installation, dump):
    before = state()
    connection.close()
    installation.clear()
    installation.make(LIVE, like="pattern")
    restore(dump)
    assert state() == before


def test_a_listed_backup_is_restored_by_its_id_and_is_in_the_list_again(installation, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"
    job = request_backup(actor=User.objects.get(name="Owner"))
    jobs.execute("exports.exportjob", job.pk)
    job.refresh_from_db()
    more()
    restore(job.pk, "--replace", "--yes")
    assert Note.objects.count() == 3
    again = ExportJob.objects.get(pk=job.pk)
    assert (again.status, again.sha256, again.summary_json) == ("succeeded", job.sha256, job.summary_json)
    assert open_artifact(again).read(5) == b"PGDMP"
    assert AuditEntry.objects.get(action=AuditAction.RESTORED).job == again


def test_one_goes_back_to_the_former_database_and_forth_again(installation, dump, capsys):
    more()
    with_more = state()
    restore(dump, "--replace", "--yes")
    (former,) = installation.databases() - {LIVE}
    assert Note.objects.count() == 3
    restore("--go-back", former, "--yes")
    assert state() == with_more
    (other,) = installation.databases() - {LIVE}
    assert "is in place again" in capsys.readouterr().out
    restore("--go-back", other, "--yes")
    assert Note.objects.count() == 3
    refused("DATABASE_NOT_FOUND", "--go-back", "nowhere", "--yes")


def test_who_is_connected_is_sent_away_and_finds_the_restored_one(installation, dump):
    """As a web process or a worker would be: again and again, while the names are swapped."""
    more()
    stop, seen = threading.Event(), []

    def look():
        while not stop.is_set():
            with suppress(psycopg.OperationalError), psycopg.connect(installation.url) as session:
                while not stop.is_set():
                    seen.append(session.execute("SELECT count(*) FROM notes_note").fetchone()[0])

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: len(seen) > 10)
        restore(dump, "--replace", "--yes")
        wait_for(lambda: seen[-1] == 3)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(seen) == {3, 4}


# --- It is refused before anything is touched -------------------------------------------------------


@pytest.fixture
def untouched(installation, dump):
    before = state(), installation.databases()
    yield
    assert (state(), installation.databases()) == before


def change(dump, **told):
    beside = dump.with_name("all.dump.json")
    beside.write_text(json.dumps({**json.loads(beside.read_text()), **told}))


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"engine": "sqlite"}, "BACKUP_OF_ANOTHER_ENGINE"),
        ({"schema": {"notes": "0999_of_tomorrow"}}, "BACKUP_NEWER"),
        ({"schema": {"elsewhere": "0001_initial"}}, "BACKUP_NEWER"),
        ({"server_version": "99.1"}, "SERVER_TOO_OLD"),
        ({"dump_version": "99.1"}, "PG_RESTORE_TOO_OLD"),
        ({"size": 7}, "BACKUP_DAMAGED"),
        ({"sha256": "0" * 64}, "BACKUP_DAMAGED"),
        ({"format": 99}, "MANIFEST_NEWER"),
    ],
)
def test_what_cannot_be_restored_is_refused(untouched, dump, told, code):
    change(dump, **told)
    refused(code, dump, "--replace", "--yes")


def test_damage_is_found_wherever_it_is(untouched, dump):
    whole = dump.read_bytes()
    for place in (0, 8, 200, len(whole) // 2, len(whole) - 1):
        dump.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        refused("BACKUP_DAMAGED", dump, "--replace", "--yes")
    dump.write_bytes(whole[: len(whole) // 2])
    refused("BACKUP_DAMAGED", dump, "--replace", "--yes")
    # Even where its manifest was made to fit.
    damaged = whole[:40] + b"\xff" * 60 + whole[100:]
    dump.write_bytes(damaged)
    change(dump, sha256=hashlib.sha256(damaged).hexdigest())
    assert "cannot read" in refused("BACKUP_DAMAGED", dump, "--replace", "--yes")


def test_what_was_restored_and_is_not_what_was_backed_up_takes_no_place(untouched, dump):
    told = json.loads(dump.with_name("all.dump.json").read_text())["tables"]
    told["public.notes_note"]["rows"] = 4
    change(dump, tables=told)
    assert "notes_note: rows 3 instead of 4" in refused("BACKUP_DIFFERS", dump, "--replace", "--yes")


def test_a_database_that_is_not_empty_is_replaced_on_demand_only(untouched, dump):
    refused("DATABASE_NOT_EMPTY", dump)


def test_it_asks_for_the_name_of_the_database(untouched, dump, monkeypatch):
    asked = []
    for answer in ("yes", "", EOFError()):

        def reply(question, answer=answer):
            asked.append(question)
            if isinstance(answer, EOFError):
                raise answer
            return answer

        monkeypatch.setattr("builtins.input", reply)
        refused("NOT_CONFIRMED", dump, "--replace")
    assert "“live”" in asked[0]


def test_who_types_its_name_gets_it(installation, dump, monkeypatch):
    more()
    monkeypatch.setattr("builtins.input", lambda question: LIVE)
    restore(dump, "--replace")
    assert Note.objects.count() == 3


def test_tables_of_somebody_else_are_no_empty_database(installation, dump):
    connection.close()
    installation.clear()
    installation.make(LIVE)
    installation.sql("CREATE TABLE accounts (x int)", database=LIVE)
    refused("DATABASE_NOT_EMPTY", dump)


def test_an_account_without_the_right_is_told_which(untouched, installation, dump, settings):
    installation.sql("CREATE ROLE modest LOGIN")
    connection.close()
    usual = connection.settings_dict["USER"]
    connection.settings_dict["USER"] = "modest"
    try:
        assert "CREATEDB" in refused("CREATEDB_MISSING", dump, "--replace", "--yes")
    finally:
        connection.close()
        connection.settings_dict["USER"] = usual
        installation.sql("DROP ROLE modest")


def test_only_a_superuser_restores(untouched, dump):
    User.objects.create(email="editor@example.com", name="Editor")
    try:
        refused("ROLE_FORBIDDEN", dump, "--replace", "--yes", "--as", "editor@example.com")
        refused("USER_NOT_FOUND", dump, "--replace", "--yes", "--as", "nobody@example.com")
    finally:
        User.objects.filter(name="Editor").delete()


def test_where_the_list_of_backups_is_lost_the_file_is_asked_for(installation):
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE exports_exportjob CASCADE")
    with pytest.raises(CommandError, match="Name the backup's file: it lies in the storage, as exports/"):
        restore("01890000-0000-7000-8000-000000000000", "--replace", "--yes")


# --- It is cut off ----------------------------------------------------------------------------------

_STOPPED = """
import sys, time
import django
django.setup()
import psycopg
from django.core.management import call_command
from exports import restoring, scratch

place, dump = sys.argv[1:]

def stop(*arguments, **named):
    print("HERE", flush=True)
    time.sleep(600)

if place == "swapped":
    usual = psycopg.Connection.execute
    def execute(self, query, *rest, **named):
        if "RESET synchronous_commit" in (query if isinstance(query, str) else query.as_string(self)):
            stop()
        return usual(self, query, *rest, **named)
    psycopg.Connection.execute = execute
else:
    setattr(scratch if place == "fill" else restoring, place, stop)
call_command("restore_backup", dump, "--replace", "--yes")
"""


def test_killed_at_any_moment_it_leaves_the_former_database_in_its_place(installation, dump):
    """Before it is filled and migrated, and in the middle of the swap, when nobody can connect."""
    more()
    expected = state()
    connection.close()
    environment = {"DATABASE_URL": installation.url, "DJANGO_SETTINGS_MODULE": "tests.faults.settings"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _STOPPED, place, str(dump)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        for place in ("fill", "call_command", "swapped")
    ]
    try:
        for process in processes:
            assert "HERE\n" in iter(process.stdout.readline, "")
        assert len(installation.databases()) == 1 + len(processes)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(installation.url, options="-c statement_timeout=300", connect_timeout=2).close()
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    assert state() == expected
    # What they left is dropped by whoever comes next.
    wait_for(lambda: scratch.drop_leftovers() or installation.databases() == {LIVE})
    assert installation.databases() == {LIVE}


def test_a_fault_while_it_is_put_right_leaves_everything_as_it_was(untouched, dump, monkeypatch):
    monkeypatch.setattr("exports.mending.revive", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        restore(dump, "--replace", "--yes")
