"""A SQL backup: what it holds is proven by a real pg_restore, and how it ends where pg_dump cannot do it."""

import os
import subprocess
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import psutil
import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.backends.postgresql.client import DatabaseClient

from exports import digests, sql_backup
from exports.models import ExportJob
from exports.services import cancel_export, open_artifact, request_backup, retry_export
from exports.sql_backup import find_pg_dump, write_backup
from kjxlkj.embedded_postgres import base
from kjxlkj.embedded_postgres.server import binaries
from kjxlkj.errors import DomainError, Forbidden
from kjxlkj.jobs import services as jobs
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import NewNote, create_note
from tests.exports.conftest import execute
from tests.faults.installation import instead_of_the_suites_database, migrate
from tests.faults.server import Server
from tests.jobs.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scratch():
    """The parameters of an empty database beside the one that is used."""
    connection.ensure_connection()
    with empty_database_beside(connection.connection.info) as parameters:
        yield parameters


@contextmanager
def empty_database_beside(info):
    parameters = {**info.get_parameters(), **({"password": info.password} if info.password else {})}
    # Other processes of the suite have theirs on the same server.
    name = f"scratch_{os.getpid()}"
    with psycopg.connect(**{**parameters, "dbname": "postgres"}, autocommit=True) as session:
        session.execute(f"DROP DATABASE IF EXISTS {name}")
        session.execute(f"CREATE DATABASE {name}")
        yield {**parameters, "dbname": name}
        session.execute(f"DROP DATABASE {name} WITH (FORCE)")


def restore(dump, parameters):
    """As an operator would, to the letter: any complaint is a failure."""
    conninfo = psycopg.conninfo.make_conninfo(**parameters)
    command = [binaries() / "pg_restore", "--exit-on-error", f"--dbname={conninfo}", dump]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def measured(parameters):
    with psycopg.connect(**parameters) as session:
        digests.pin(session)
        return digests.measure(session, digests.tables(session))


# --- What it holds --------------------------------------------------------------------------------


def test_a_backup_restores_into_an_empty_database_with_every_row(superuser, notes, scratch, tmp_path):
    job = execute(request_backup(actor=superuser))
    assert (job.status, job.error_code, job.error_detail) == ("succeeded", "", "")
    dump = tmp_path / "backup.dump"
    dump.write_bytes(open_artifact(job).read())
    assert (job.size, dump.read_bytes()[:5]) == (dump.stat().st_size, b"PGDMP")
    restore(dump, scratch)
    tables = job.summary_json["tables"]
    assert measured(scratch) == tables
    assert (tables["public.notes_note"]["rows"], tables["public.exports_exportjob"]["rows"]) == (3, 1)
    with psycopg.connect(**scratch) as session:
        texts = session.execute("SELECT title, body FROM notes_note ORDER BY title").fetchall()
        # Whatever is restored keeps its rules.
        with pytest.raises(psycopg.Error, match="Cannot update"):
            session.execute("UPDATE workspaces_workspaceevent SET type = 'x'")
    assert texts == sorted(Note.objects.values_list("title", "body"))


def test_the_manifest_tells_where_it_comes_from(superuser, notes):
    job = execute(request_backup(actor=superuser))
    told = job.summary_json
    assert told["engine"] == "postgresql"
    assert (
        told["server_version"] == told["dump_version"] == connection.connection.info.parameter_status("server_version")
    )
    assert told["schema"]["automation"].startswith("00")
    assert set(told["schema"]) >= {"automation", "exports", "librarian", "notes", "workspaces", "jobs", "django_q"}
    assert told["taken_at"].endswith("Z")
    assert job.filename == f"kjxlkj-{job.finished_at.date()}.dump"
    assert (job.progress_done, job.progress_label) == (job.size // 1000, "kB written")


def test_manifest_and_dump_are_of_one_moment(workspace, owner, notes, scratch, tmp_path):
    """Whatever is written while tables are dumped and measured is in neither."""
    written = []

    def write(done, total, label):
        def note():
            create_note(workspace, NewNote(f"Meanwhile {len(written)}"), cause=by(owner))
            connection.close()

        if len(written) < 2:
            written.append(label)
            thread = threading.Thread(target=note)
            thread.start()
            thread.join()

    with (tmp_path / "backup.dump").open("w+b") as file:
        tables = write_backup(file, write)["tables"]
    assert written == ["kB written", "kB written"]
    assert Note.objects.count() == 5
    restore(tmp_path / "backup.dump", scratch)
    assert tables["public.notes_note"]["rows"] == 3
    assert measured(scratch) == tables


def test_tables_of_others_in_the_database_are_counted_too(superuser, tmp_path):
    with connection.cursor() as cursor:
        cursor.execute('CREATE SCHEMA "of Others"')
        cursor.execute('CREATE TABLE "of Others"."A.b" AS SELECT 1 AS x')
        try:
            assert execute(request_backup(actor=superuser)).summary_json["tables"]["of Others.A.b"]["rows"] == 1
        finally:
            cursor.execute('DROP SCHEMA "of Others" CASCADE')


# --- A server of one's own ------------------------------------------------------------------------


@pytest.fixture
def on_path(monkeypatch, tmp_path):
    """As with a PostgreSQL of one's own, programs are looked for on the PATH, where a test puts them (or does not)."""
    usual = DatabaseClient.settings_to_cmd_args_env
    monkeypatch.setattr(base.DatabaseClient, "settings_to_cmd_args_env", usual)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(script):
        program = folder / "pg_dump"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return put


def test_a_server_with_a_password_is_dumped_by_the_program_on_the_path(on_path, tmp_path, monkeypatch):
    monkeypatch.setenv("KJXLKJ_SECRET_KEY", "not for others")
    heard = tmp_path / "heard"
    on_path(f'{{ echo "$@"; export -p; }} >> {heard}\nexec {binaries()}/pg_dump "$@"')
    with Server(["127.0.0.1"]) as server:
        url = server.url_at("127.0.0.1")
        with instead_of_the_suites_database(SimpleNamespace(url=url)):
            migrate()
            with (tmp_path / "backup.dump").open("w+b") as file:
                tables = write_backup(file)["tables"]
            with empty_database_beside(connection.connection.info) as scratch:
                restore(tmp_path / "backup.dump", scratch)
                assert measured(scratch) == tables
        password = psycopg.conninfo.conninfo_to_dict(url)["password"]
    arguments, *environment = heard.read_text().partition("--format=custom")[2].splitlines()
    assert "host=127.0.0.1" in arguments
    assert password not in arguments
    assert any(password in line for line in environment)
    assert not any("not for others" in line for line in environment)


def test_a_missing_pg_dump_is_named_with_what_to_do(on_path, superuser):
    job = execute(request_backup(actor=superuser))
    assert (job.status, job.error_code, job.attempts) == ("failed", "PG_DUMP_MISSING", 1)
    assert f"client programs of PostgreSQL {connection.pg_version // 10_000} or newer" in job.error_detail


def test_a_pg_dump_that_is_too_old_is_named_with_what_to_do(on_path, superuser):
    program = on_path('echo "pg_dump (PostgreSQL) 13.4 (Debian 13.4-1)"')
    job = execute(request_backup(actor=superuser))
    assert (job.status, job.error_code) == ("failed", "PG_DUMP_TOO_OLD")
    assert f"{program} is of PostgreSQL 13.4" in job.error_detail
    assert "or newer" in job.error_detail


@pytest.mark.parametrize("script", ["echo some other program", "exit 1", 'echo "pg_dump (Postgres) eleven"'])
def test_what_is_no_pg_dump_is_not_taken_for_one(on_path, script):
    on_path(script)
    with pytest.raises(DomainError) as error:
        find_pg_dump()
    assert error.value.code == "PG_DUMP_MISSING"


@pytest.mark.parametrize("version", ["18beta1", "18.4", "19.0"])
def test_a_newer_one_will_do(on_path, version):
    on_path(f'echo "pg_dump (PostgreSQL) {version}"')
    assert find_pg_dump().version == version


# --- Ends before the end --------------------------------------------------------------------------


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def torn(rest):
    """Half of a dump, and then?"""
    return f'[ "$1" = --version ] && echo "pg_dump (PostgreSQL) 99.1" && exit\nprintf PGDMPhalf\n{rest}'


def test_a_dump_that_dies_half_way_leaves_no_artifact(on_path, superuser, files):
    on_path(torn('echo "pg_dump: error: could not write: No space left on device" >&2\nexit 1'))
    job = execute(request_backup(actor=superuser))
    assert (job.status, job.error_code, job.file.name) == ("failed", "PG_DUMP_FAILED", "")
    assert "No space left on device" in job.error_detail
    assert files_below(files) == []


def test_a_dump_that_is_killed_leaves_no_artifact(on_path, superuser, files):
    on_path(torn("kill -9 $$"))
    job = execute(request_backup(actor=superuser))
    assert (job.error_code, job.file.name, files_below(files)) == ("PG_DUMP_FAILED", "", [])


def test_a_cancelled_backup_ends_its_program_and_leaves_nothing(on_path, superuser, files, tmp_path):
    pid = tmp_path / "pid"
    on_path(torn(f"echo $$ > {pid}\nexec /bin/sleep 600"))
    job = request_backup(actor=superuser)

    def work():
        jobs.execute("exports.exportjob", job.pk)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        wait_for(lambda: ExportJob.objects.get(pk=job.pk).progress_label == "kB written")
        program = psutil.Process(int(wait_for(lambda: pid.exists() and pid.read_text())))
    finally:
        cancel_export(job, actor=superuser)
        worker.join(20)
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "CANCELLED")
    assert not program.is_running()
    assert files_below(files) == []


def test_a_database_that_goes_away_is_no_fault_of_pg_dump(on_path, tmp_path):
    """It may pass: the job is tried again by itself."""
    on_path(torn("exit 1"))

    def cut(done, total, label):
        if label == "kB written":
            info = connection.connection.info
            with psycopg.connect(**info.get_parameters()) as session:
                session.execute("SELECT pg_terminate_backend(%s)", [info.backend_pid])

    with (tmp_path / "backup.dump").open("w+b") as file, pytest.raises(OperationalError):
        write_backup(file, cut)


@contextmanager
def altered_meanwhile(on_path, tmp_path, monkeypatch):
    """Somebody asks for a table after it was counted, before pg_dump locks it."""
    monkeypatch.setattr(sql_backup, "_LOCK_WAIT_MS", 300)
    here, go = tmp_path / "here", tmp_path / "go"
    wait = f"> {here}\nuntil [ -e {go} ]; do /bin/sleep 0.02; done"
    on_path(f'[ "$1" = --version ] || {{ {wait}\n}}\nexec {binaries()}/pg_dump "$@"')
    connection.ensure_connection()
    info = connection.connection.info
    parameters = {**info.get_parameters(), **({"password": info.password} if info.password else {})}

    def alter():
        wait_for(here.exists)
        with psycopg.connect(**parameters) as session:
            # Lest a fault of ours held everything up for ever.
            session.execute("SET lock_timeout = '20s'")
            session.execute("ALTER TABLE notes_note ADD COLUMN meanwhile int")
            session.rollback()

    def go_when_it_waits():
        waiting = "SELECT 1 FROM pg_locks WHERE relation = 'notes_note'::regclass AND NOT granted"
        with psycopg.connect(**parameters, autocommit=True) as session:
            wait_for(lambda: session.execute(waiting).fetchone())
        go.touch()

    threads = [threading.Thread(target=each) for each in (alter, go_when_it_waits)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def test_who_wants_a_table_for_themselves_has_their_turn_and_the_backup_another(
    on_path, superuser, tmp_path, monkeypatch, files
):
    with altered_meanwhile(on_path, tmp_path, monkeypatch):
        job = execute(request_backup(actor=superuser))
    assert (job.status, job.error_code, job.attempts) == ("queued", "BACKUP_LOCKED", 1)
    assert "ALTER TABLE" in job.error_detail
    assert files_below(files) == []
    ExportJob.objects.update(not_before=None)
    assert execute(job).status == "succeeded"


def test_the_command_says_that_it_was_locked_out(on_path, tmp_path, monkeypatch):
    with (
        pytest.raises(CommandError, match="BACKUP_LOCKED") as error,
        altered_meanwhile(on_path, tmp_path, monkeypatch),
    ):
        call_command("backup_sql", "--to", str(tmp_path / "all.dump"))
    assert error.value.returncode == 2
    assert list(tmp_path.glob("*all*")) == []


def test_a_failed_backup_is_tried_again_as_a_new_one(on_path, superuser, monkeypatch):
    failed = execute(request_backup(actor=superuser))
    monkeypatch.undo()
    again = execute(retry_export(failed, actor=superuser))
    assert (failed.error_code, again.status) == ("PG_DUMP_MISSING", "succeeded")


def test_only_superusers_order_one(owner, admin):
    for user in (owner, admin):
        with pytest.raises(Forbidden):
            request_backup(actor=user)
    assert not ExportJob.objects.exists()


def test_the_file_is_for_our_account_alone(superuser, files):
    job = execute(request_backup(actor=superuser))
    assert os.stat(files / job.file.name).st_mode & 0o077 == 0
