import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from kjxlkj.jobs.models import Canary
from tests.faults.running import Running
from tests.jobs.conftest import wait_for


def accepts(bind: str) -> bool:
    host, _, port = bind.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def supervise(transactional_db: Any) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(bind: str | None = None, **environment: str) -> Running:
        environment["KJXLKJ_TEST_DATABASE"] = str(connection.settings_dict["NAME"])
        running = Running(environment, bind=bind)
        started.append(running)
        wait_for(lambda: Canary.objects.filter(answered_at__isnull=False).exists(), 30)
        if bind:
            wait_for(lambda: accepts(bind))
        running.processes()
        return running

    yield start
    for running in started:
        running.end()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
