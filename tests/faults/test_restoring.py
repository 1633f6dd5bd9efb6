"""The database is replaced under a running supervisor, with its web server and its workers."""

import http.client
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command

from exports.models import AuditEntry
from kjxlkj.embedded_postgres.server import binaries
from kjxlkj.jobs import services as jobs
from kjxlkj.workspaces.models import User
from tests.faults.errands import add, wait_until_ended, wait_until_well
from tests.faults.installation import instead_of_the_suites_database, migrate
from tests.faults.running import Running, with_web
from tests.faults.scene import GRACE_SECONDS, MERCY_SECONDS
from tests.faults.server import ROLE, Server
from tests.jobs.conftest import wait_for
from tests.jobs.testapp.models import Errand

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]


def is_ready(bind: str) -> bool:
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection(bind, timeout=5)
        connection.request("GET", "/api/readyz")
        return connection.getresponse().status == 200
    return False


def test_web_and_workers_go_on_in_the_restored_database_and_write_nothing_of_the_former(
    django_db_blocker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("PATH", f"{binaries()}{os.pathsep}{os.environ['PATH']}")
    dump, bind = str(tmp_path / "all.dump"), f"127.0.0.1:{free_port}"
    with django_db_blocker.unblock(), Server() as server, instead_of_the_suites_database(server):
        migrate()
        running = Running({"DATABASE_URL": server.url}, program=with_web(bind), log=tmp_path / "log")
        try:
            User.objects.create(email="owner@example.com", name="Owner")
            at_work = add("last", 300)
            wait_for(lambda: Errand.objects.get(pk=at_work.pk).status == "running", 60)
            call_command("backup_sql", "--to", dump)
            later = add("succeed")
            assert wait_until_ended([later], 30)
            former_lease = Errand.objects.get(pk=at_work.pk).lease_token
            call_command("restore_backup", dump, "--replace", "--yes")
            # By somebody else, and for the first time, as far as anybody knows.
            wait_for(lambda: Errand.objects.get(pk=at_work.pk).status == "running", 60)
            again = Errand.objects.get(pk=at_work.pk)
            assert (again.attempts, again.lease_token == former_lease) == (1, False)
            assert not Errand.objects.filter(pk=later.pk).exists()
            assert wait_until_well(60)
            wait_for(lambda: is_ready(bind), 60)
            new = add("succeed")
            assert wait_until_ended([new], 30)
            jobs.cancel(again)
            assert wait_until_ended([again], 30)
            assert again.effects.count() == 0
            restored = AuditEntry.objects.get(action="restored")
            assert restored.detail["sha256"]
            status, _, left = running.stop(GRACE_SECONDS + MERCY_SECONDS)
            assert (status, left) == (0, [])
            with psycopg.connect(server.url, dbname=_former(server)) as session:
                (found,) = session.execute("SELECT status, lease_token FROM testapp_errand WHERE id = %s", [again.pk])
                assert found == ("running", former_lease)
        finally:
            running.end()
            print(running.told())


def _former(server: Server) -> str:
    with server.connect() as session:
        (name,) = session.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{ROLE}_before"])
        return str(name[0])
