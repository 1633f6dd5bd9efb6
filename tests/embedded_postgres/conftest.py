import contextlib
import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from kjxlkj.embedded_postgres.layout import Layout, try_lock

ROOT = Path(__file__).parents[2]
STARTED = "SELECT pg_postmaster_start_time()::text"


def wait_until(condition, what, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"Waited in vain: {what}"
        time.sleep(0.01)


class User:
    """A process of its own that uses the server of a directory."""

    def __init__(self, directory, *, python=sys.executable, **popen):
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{site_packages()}"}
        self.process: Any = subprocess.Popen(
            [python, "-m", "tests.embedded_postgres.user", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
            **popen,
        )

    def send(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline()
        assert line, f"The process has ended with status {self.process.wait()}"
        return json.loads(line)

    def ask(self, **request):
        self.send(**request)
        return self.receive()

    def sql(self, statement):
        answer = self.ask(sql=statement)
        assert "rows" in answer, answer
        return answer["rows"]

    def error(self, statement="SELECT 1"):
        return self.ask(sql=statement)["error"]

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0

    def kill(self):
        self.process.kill()
        self.process.wait(30)


def site_packages():
    return next(path for path in sys.path if path.endswith("site-packages"))


def is_gone(directory):
    """No process of the server, nor its keeper, is left: each of them holds a lock."""
    path = Layout(Path(directory)).server_lock
    if not path.exists():
        return True
    with path.open("r+b") as file:
        return try_lock(file.fileno(), fcntl.LOCK_EX)


def is_running(process):
    """Not a zombie: whose child it was may take its time."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def postmaster(directory):
    return psutil.Process(int((directory / "data/postmaster.pid").read_text().split("\n", 1)[0]))


def keeper(directory):
    return psutil.Process(postmaster(directory).ppid())


def kill_everything(directory, *users):
    server = postmaster(directory)
    for process in [keeper(directory), server, *server.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    for user in users:
        user.kill()


def other_account():
    """A normal account and a Python that it can run with the same packages, or a skipped test."""
    if os.geteuid() != 0:
        pytest.skip("becoming another account needs root")
    account = pwd.getpwnam("nobody")
    identity: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        with contextlib.suppress(OSError):
            tried = subprocess.run(
                [python, "-c", "import django, psycopg"],
                env={"PYTHONPATH": site_packages()},
                capture_output=True,
                check=False,
                **identity,
            )
            if tried.returncode == 0:
                return account, {"python": python, **identity}
    pytest.skip("the account nobody can run no Python that has these packages")


@pytest.fixture
def place():
    """A directory that every account can reach, with a path short enough for a socket; pytest's is neither."""
    path = Path(tempfile.mkdtemp(prefix="kjxlkj-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start():
    """Makes users, and ends them and waits for their servers in the end."""
    users, directories = [], []

    def make(directory, **options):
        users.append(User(directory, **options))
        directories.append(directory)
        return users[-1]

    yield make
    for user in users:
        user.kill()
        user.process.stdin.close()
        user.process.stdout.close()
    for directory in directories:
        wait_until(lambda directory=directory: is_gone(directory), f"the server in {directory} to stop")


@pytest.fixture(scope="module")
def made():
    """A directory that holds data already, so that only the tests of that wait for initdb."""
    path = Path(tempfile.mkdtemp(prefix="kjxlkj-test-", dir="/tmp"))
    path.chmod(0o755)
    user = User(path / "postgres")
    user.sql("CREATE TABLE kept AS SELECT 'still here' AS word")
    user.end()
    user.process.stdout.close()
    wait_until(lambda: is_gone(path / "postgres"), "the server to stop")
    yield path / "postgres"
    shutil.rmtree(path)


@pytest.fixture
def directory(made):
    yield made
    assert is_gone(made)
