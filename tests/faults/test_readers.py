"""Readers that wait at the real web server: what they hold, and what they hold up."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connection
from knox.models import AuthToken

from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.services import create_workspace
from tests.faults.conftest import accepts
from tests.faults.installation import instead_of_the_suites_database, migrate
from tests.faults.readers import Reader
from tests.faults.running import ROOT, Running
from tests.faults.server import Server
from tests.jobs.conftest import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]

GUNICORN = ["-m", "gunicorn", "-c", "python:kjxlkj.jobs.web"]
LISTENER = re.compile("LISTEN|SELECT id, event_seq FROM")


@pytest.fixture(scope="module")
def server(django_db_blocker: Any) -> Iterator[Server]:
    with django_db_blocker.unblock(), Server() as server, instead_of_the_suites_database(server):
        migrate()
        yield server


@pytest.fixture
def workspace(server: Server) -> Workspace:
    name = f"w{User.objects.count()}"
    return create_workspace(slug=name, name=name, owner=User.objects.create(email=f"{name}@example.com", name=name))


@pytest.fixture
def token(workspace: Workspace) -> str:
    return str(AuthToken.objects.create(workspace.owner)[1])


@pytest.fixture
def web(server: Server, free_port: int) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(**environment: str) -> Running:
        own = {"KJXLKJ_BIND": f"127.0.0.1:{free_port}", "KJXLKJ_SUPERVISOR": str(os.getpid()), **environment}
        running = Running({"DATABASE_URL": server.url, **own}, program=GUNICORN)
        started.append(running)
        wait_for(lambda: accepts(own["KJXLKJ_BIND"]))
        return running

    yield start
    for running in started:
        running.end()


def connections_of_others() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT query FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [query for (query,) in cursor.fetchall()]


def visitors(running: Running, port: int) -> int:
    """Connections that the server has taken."""
    count = 0
    for process in running.processes():
        with suppress(psutil.NoSuchProcess):
            taken = process.net_connections("tcp")
            count += sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port for each in taken)
    return count


def read(port: int, token: str, count: int, **given: Any) -> list[Reader]:
    readers = [Reader(port, token, enough=1, **given) for _ in range(count)]
    for reader in readers:
        reader.start()
    return readers


def all_wait(running: Running, port: int, count: int) -> None:
    """They are there, and one who listens for them has the only connection to the database."""

    def calm() -> bool:
        queries = connections_of_others()
        return visitors(running, port) == count and len(queries) == 1 and LISTENER.match(queries[0]) is not None

    # Not once only, when by chance nobody's question was under way.
    wait_for(lambda: all(calm() for _ in range(20)), 60)


def write(workspace: Workspace, title: str = "news") -> None:
    create_note(workspace, NewNote(title=title), cause=by(workspace.owner))


def test_fifty_readers_wait_on_one_connection_to_the_database_and_pages_are_served_beside_them(
    web: Callable[..., Running], workspace: Workspace, token: str, free_port: int
) -> None:
    running = web(KJXLKJ_WEB_WORKERS="1", KJXLKJ_WEB_READERS="50", KJXLKJ_WEB_THREADS="2")
    readers = read(free_port, token, 50)
    all_wait(running, free_port, 50)
    for _ in range(20):
        page = http.client.HTTPConnection("127.0.0.1", free_port, timeout=10)
        page.request("GET", "/api/workspaces", headers={"Authorization": f"Token {token}"})
        assert page.getresponse().status == 200
        page.close()
    write(workspace)
    for reader in readers:
        reader.join(30)
        assert [event["payload"]["title"] for event in reader.events] == ["news"]
        assert (reader.pauses, reader.broken, reader.answers) == (0, 0, 1)


def test_more_readers_than_places_ask_again_after_a_pause_and_miss_nothing(
    web: Callable[..., Running], workspace: Workspace, token: str, free_port: int
) -> None:
    running = web(KJXLKJ_WEB_WORKERS="1", KJXLKJ_WEB_READERS="3", KJXLKJ_WEB_THREADS="2")
    readers = read(free_port, token, 8)
    wait_for(lambda: sum(reader.pauses > 1 for reader in readers) == 5, 60)
    assert running.process.poll() is None
    write(workspace)
    for reader in readers:
        reader.join(30)
        assert [event["payload"]["title"] for event in reader.events] == ["news"]


def test_a_stop_is_not_held_up_by_those_who_wait(
    web: Callable[..., Running], workspace: Workspace, token: str, free_port: int
) -> None:
    running = web()
    readers = read(free_port, token, 20)
    wait_for(lambda: visitors(running, free_port) == 20 and all(map(LISTENER.match, connections_of_others())), 60)
    status, seconds, left = running.stop(20)
    assert (status, left) == (0, [])
    assert seconds < 8, "gunicorn gives ten seconds to requests that do not end, and readers would wait for 25"
    wait_for(lambda: all(reader.answers >= 1 and not reader.events for reader in readers))


def test_readers_outlive_a_restart_of_the_database(
    web: Callable[..., Running], workspace: Workspace, token: str, free_port: int, server: Server
) -> None:
    running = web(KJXLKJ_WEB_WORKERS="1")
    readers = read(free_port, token, 10)
    all_wait(running, free_port, 10)
    connection.close()
    server.stop(signal.SIGINT)
    server.start()
    write(workspace)
    began = time.monotonic()
    for reader in readers:
        reader.join(30)
        assert [event["payload"]["title"] for event in reader.events] == ["news"]
        assert reader.broken == 0
    assert time.monotonic() - began < 15, "their time would have been over later"


def test_the_example_of_the_documentation_follows_the_feed_and_goes_on_where_it_was(
    web: Callable[..., Running], workspace: Workspace, token: str, free_port: int, tmp_path: Path
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.DOTALL)
    web()
    environment = {**os.environ, "KJXLKJ_URL": f"http://127.0.0.1:{free_port}", "KJXLKJ_TOKEN": token}
    for wanted in (["1 workspace.created", "2 note.created"], ["3 note.created"]):
        write(workspace, wanted[0])
        follower = subprocess.Popen(
            [sys.executable, "-c", example], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert follower.stdout
        try:
            assert [follower.stdout.readline().split(" ", 1)[1].strip() for _ in wanted] == wanted
            saved = tmp_path / "cursor"
            wait_for(saved.exists)
        finally:
            follower.kill()
            follower.wait()
