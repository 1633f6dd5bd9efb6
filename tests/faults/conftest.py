import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connection

from kjxlkj.jobs.models import Canary
from tests.jobs.conftest import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent


class Running:
    """A real supervisor with its real workers, seen from outside."""

    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": os.environ.get("KJXLKJ_FAULTS_SETTINGS", "tests.faults.settings"),
                "KJXLKJ_TEST_DATABASE": str(connection.settings_dict["NAME"]),
            },
        )
        self.seen: dict[int, psutil.Process] = {}

    def processes(self) -> list[psutil.Process]:
        """All of its descendants; remembered, to be looked for when it is gone."""
        try:
            found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        self.seen |= {process.pid: process for process in found}
        return found

    def part(self, name: str) -> psutil.Process:
        """By the order in which django-q2 starts them: workers, monitor, pusher."""
        (main,) = [p for p in psutil.Process(self.process.pid).children() if "kjxlkj.jobs.cluster" in p.cmdline()]
        if name == "main":
            return main
        (sentinel,) = main.children()
        if name == "sentinel":
            return sentinel
        first, second, monitor, pusher = sorted(sentinel.children(), key=lambda p: (p.create_time(), p.pid))
        return {"worker": first, "other worker": second, "monitor": monitor, "pusher": pusher}[name]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def left_behind(self) -> list[psutil.Process]:
        return [process for process in self.seen.values() if is_alive(process)]

    def wait_until_well(self) -> None:
        wait_for(lambda: Canary.objects.filter(well_at__isnull=False).exists(), 30)
        self.processes()


def is_alive(process: psutil.Process) -> bool:
    """Not ended, whether or not anybody has asked for its exit status."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def accepts(bind: str) -> bool:
    host, _, port = bind.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


START = """
import django
django.setup()
from django.conf import settings
from kjxlkj.jobs.supervisor import Supervisor
Supervisor(bind={bind!r}, queues=settings.JOB_QUEUES).run()
"""


QCLUSTER = """
import django
django.setup()
from django.core.management import call_command
call_command("qcluster")
"""


@pytest.fixture
def start(transactional_db: Any) -> Iterator[Callable[[str], Running]]:
    """Run a program that brings up a cluster; all of it is gone at the end of the test."""
    started: list[Running] = []

    def start(program: str) -> Running:
        running = Running(program)
        started.append(running)
        running.wait_until_well()
        return running

    yield start
    for running in started:
        running.processes()
        running.process.kill()
        running.process.wait()
        for process in running.left_behind():
            process.kill()


@pytest.fixture
def supervise(start: Callable[[str], Running]) -> Callable[..., Running]:
    def supervise(bind: str | None = None) -> Running:
        running = start(START.format(bind=bind))
        if bind:
            wait_for(lambda: accepts(bind))
            running.processes()
        return running

    return supervise


@pytest.fixture
def qcluster(start: Callable[[str], Running]) -> Callable[[], Running]:
    """As under a supervisor of somebody else's."""
    return lambda: start(QCLUSTER)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
