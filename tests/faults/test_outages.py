"""The database is away: the supervisor waits for it, and obeys its signals all the same."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kjxlkj.jobs.models import Canary
from tests.faults.errands import add, faults_of, wait_until_ended
from tests.faults.installation import insist, instead_of_the_suites_database, migrate, wait_until
from tests.faults.running import Running
from tests.faults.scene import GRACE_SECONDS, MERCY_SECONDS
from tests.faults.server import Server
from tests.jobs.conftest import wait_for
from tests.jobs.testapp.models import Errand

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]


@pytest.fixture(scope="module")
def server(django_db_blocker: Any) -> Iterator[Server]:
    with django_db_blocker.unblock(), Server() as server, instead_of_the_suites_database(server):
        migrate()
        yield server


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Iterator[Callable[[], Running]]:
    started: list[Running] = []

    def start() -> Running:
        running = Running({"DATABASE_URL": server.url}, log=tmp_path / "log")
        started.append(running)
        return running

    yield start
    for running in started:
        running.end()
        print(running.told())
    server.thaw()
    server.start()
    insist(Errand.objects.all().delete)
    insist(Canary.objects.all().delete)


def assert_stops_in_order(running: Running) -> None:
    status, seconds, left = running.stop(GRACE_SECONDS + MERCY_SECONDS)
    assert (status, left) == (0, []), f"after {seconds:.1f} s"


def test_workers_come_up_when_a_database_does_that_was_down_at_their_start(
    server: Server, start: Callable[[], Running]
) -> None:
    server.stop(signal.SIGINT)
    running = start()
    wait_for(lambda: "The database cannot be used" in running.told(), 60)
    server.start()
    errand = add("last", 0.1)
    assert wait_until_ended([errand], 60)
    errand.refresh_from_db()
    assert faults_of(errand) == []
    assert_stops_in_order(running)


OUTAGES: dict[str, Callable[[Server], None]] = {
    "down": lambda server: server.stop(signal.SIGQUIT),
    "silent": lambda server: server.freeze(),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_stop_in_an_outage_is_in_time_and_leaves_nothing(
    server: Server, start: Callable[[], Running], outage: str
) -> None:
    running = start()
    assert wait_until(lambda: Canary.objects.filter(answered_at__isnull=False).exists(), 60)
    add("last", 600)
    assert wait_until(lambda: Errand.objects.filter(status="running").exists(), 60)
    OUTAGES[outage](server)
    assert_stops_in_order(running)
