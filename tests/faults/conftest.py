import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import connection

from kjxlkj.jobs.models import Canary
from tests.faults.running import QCLUSTER, SUPERVISE, Running, with_web
from tests.jobs.conftest import wait_for


def accepts(bind: str) -> bool:
    host, _, port = bind.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def start(transactional_db: Any) -> Iterator[Callable[..., Running]]:
    """Run a program that brings up a cluster; all of it is gone at the end of the test."""
    started: list[Running] = []

    def start(program: Sequence[str], **environment: str) -> Running:
        environment["KJXLKJ_TEST_DATABASE"] = str(connection.settings_dict["NAME"])
        running = Running(environment, program=program)
        started.append(running)
        wait_for(lambda: Canary.objects.filter(well_at__isnull=False).exists(), 30)
        running.processes()
        return running

    yield start
    for running in started:
        running.end()


@pytest.fixture
def supervise(start: Callable[..., Running]) -> Callable[..., Running]:
    def supervise(bind: str | None = None, **environment: str) -> Running:
        running = start(with_web(bind) if bind else SUPERVISE, **environment)
        if bind:
            wait_for(lambda: accepts(bind))
            running.processes()
        return running

    return supervise


@pytest.fixture
def qcluster(start: Callable[..., Running]) -> Callable[[], Running]:
    """As under a supervisor of somebody else's."""
    return lambda: start(QCLUSTER)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
