"""A PostgreSQL of a test's own: to be stopped, crashed, frozen and started again."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from kjxlkj.embedded_postgres import privileges
from kjxlkj.embedded_postgres.server import binaries

ROLE = "kjxlkj"


class Server:
    """A context manager: the data directory is there inside, the server runs from `start()` on."""

    def __init__(self, addresses: Sequence[str] = (), programs: Path | None = None) -> None:
        """Listens on a private socket, and over TCP, for whoever knows the password, on `addresses`.

        `programs`: the folder of another PostgreSQL's.
        """
        self._addresses = addresses
        self._programs = programs or binaries()
        self._password = secrets.token_hex(8)
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        self._directory = Path(tempfile.mkdtemp(prefix="kjxlkj-faults-"))
        if os.geteuid() == 0:
            account = privileges.service_account()
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self.thaw()
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._directory)

    @property
    def url(self) -> str:
        return f"postgres://{ROLE}@{quote(str(self._directory), safe='')}:{self._port}/{ROLE}"

    def url_at(self, address: str) -> str:
        return f"postgres://{ROLE}:{self._password}@{address}:{self._port}/{ROLE}"

    @property
    def is_up(self) -> bool:
        return self._process is not None

    @property
    def log(self) -> Path:
        return self._directory / "server.log"

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)

    def start(self) -> None:
        if self._process is not None:
            return
        with self.log.open("ab") as log:
            self._process = self._popen("postgres", "-D", self._data, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while psycopg.pq.PGconn.ping(self.url.encode()) != psycopg.pq.Ping.OK:
            assert self._process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def stop(self, how: signal.Signals) -> None:
        """SIGINT: in order, ending all sessions. SIGQUIT: as a crash; the next start recovers from the log."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
        self._process = None

    def freeze(self) -> None:
        """It accepts connections and answers nothing, as behind a link that drops everything."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    @property
    def _data(self) -> str:
        return str(self._directory / "data")

    def _processes(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        server = psutil.Process(self._process.pid)
        return [server, *server.children()]

    def _initialise(self) -> None:
        password = self._directory / "password"
        password.write_text(self._password)
        password.chmod(0o644)  # in a directory that is the server's alone
        initdb = ["-D", self._data, f"--username={ROLE}", f"--pwfile={password}", "--auth=trust", "--no-sync"]
        self._run("initdb", *initdb, "--encoding=UTF8", "--locale=C.UTF-8")
        data = Path(self._data)
        (data / "pg_hba.conf").write_text("local all all trust\nhost all all all scram-sha-256\n")
        with (data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"listen_addresses = '{','.join(self._addresses)}'\nport = {self._port}\n")
            settings.write(f"unix_socket_directories = '{self._directory}'\nunix_socket_permissions = 0700\n")
            settings.write("shared_buffers = 32MB\njit = off\n")
        self._run("postgres", "--single", "-j", "-D", self._data, "postgres", stdin=f"CREATE DATABASE {ROLE};\n")

    def _run(self, program: str, *arguments: str, stdin: str = "") -> None:
        process = self._popen(
            program, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = process.communicate(stdin.encode())
        assert process.returncode == 0, said.decode()

    def _popen(self, program: str, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
        """As the account that owns the directory, and not to outlive us, however we end."""
        path, us = self._programs / program, os.getpid()

        def prepare() -> None:
            if os.geteuid() == 0:
                owner = self._directory.stat()
                privileges.become(owner.st_uid, owner.st_gid, must_reach=[self._directory, path])
            privileges.die_with_parent(us, signal.SIGQUIT)

        return subprocess.Popen([path, *arguments], preexec_fn=prepare, cwd=self._directory, **streams)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
