"""A real supervisor with its real workers, seen from outside."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.faults.roles import role_of
from tests.jobs.conftest import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent

SUPERVISE = ["manage.py", "supervise"]
QCLUSTER = ["manage.py", "qcluster"]

_WITH_WEB = """
import django
django.setup()
from django.conf import settings
from kjxlkj.jobs.supervisor import Supervisor
Supervisor(bind={bind!r}, queues=settings.JOB_QUEUES).run()
"""


def with_web(bind: str) -> list[str]:
    return ["-c", _WITH_WEB.format(bind=bind)]


class Running:
    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        program: Sequence[str] = SUPERVISE,
        log: Path | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        """`log`: where its output goes, None: to ours. `prefix`: of its command line."""
        self._roles = tempfile.TemporaryDirectory(prefix="kjxlkj-roles-")
        self.log = log
        self.seen: dict[int, psutil.Process] = {}
        self.process = subprocess.Popen(
            [*prefix, sys.executable, *program],
            cwd=ROOT,
            stdout=log.open("ab") if log else None,
            stderr=subprocess.STDOUT if log else None,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
                "KJXLKJ_FAULTS_ROLES": self._roles.name,
                **environment,
            },
        )

    def processes(self) -> list[psutil.Process]:
        """All of its descendants; remembered, to be looked for when it is gone."""
        try:
            found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        # Not by its id alone: another may have it by now.
        self.seen |= {hash(process): process for process in found}
        return found

    def parts(self, role: str) -> list[psutil.Process]:
        """Those of its clusters' processes that are `main`, `sentinel`, `worker`, `monitor` or `pusher`."""
        return [process for process in self.processes() if self._role(process) == role and is_alive(process)]

    def part(self, role: str) -> psutil.Process:
        part: psutil.Process = wait_for(lambda: self.parts(role))[0]
        return part

    def _role(self, process: psutil.Process) -> str:
        with suppress(psutil.NoSuchProcess):
            if process.ppid() == self.process.pid:
                return "main" if "kjxlkj.jobs.cluster" in process.cmdline() else "web"
        return role_of(process.pid, self._roles.name)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def left_behind(self) -> list[psutil.Process]:
        return [process for process in self.seen.values() if is_alive(process)]

    def stop(self, seconds: float) -> tuple[int | None, float, list[psutil.Process]]:
        """In order, by SIGTERM: its exit status (None: not in time), how long it took, and what it left behind."""
        self.processes()
        started = time.monotonic()
        self.signal(signal.SIGTERM)
        status = None
        with suppress(subprocess.TimeoutExpired):
            status = self.process.wait(seconds)
        return status, time.monotonic() - started, self.left_behind()

    def end(self) -> None:
        """At once, with all that it started."""
        self.processes()
        self.process.kill()
        self.process.wait()
        for process in self.left_behind():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._roles.cleanup()

    def told(self) -> str:
        return self.log.read_text(errors="replace") if self.log else ""


def is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    return False
