"""The data directory and the server process over it, as the account that owns them. Standard library only."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from kjxlkj.embedded_postgres.layout import LINUX, MAJOR, PORT, ROLE, Layout, StartError, log_tail
from kjxlkj.embedded_postgres.privileges import account_name, die_with_parent

SETTINGS = {
    # Written into postgresql.conf once, so that an operator may change them there or by ALTER SYSTEM.
    "max_connections": "200",
    "shared_buffers": "256MB",
    "wal_level": "minimal",  # nothing replicates from here, and bulk loads need not be logged twice
    "max_wal_senders": "0",
    "wal_compression": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",  # a failing statement carries the text of people's notes
}


def ensure_initialised(layout: Layout, binaries: Path, lock: int) -> None:
    """Made aside and renamed, so that a kill half-way leaves nothing that looks whole.

    initdb inherits the lock: if it outlives its keeper, the next one waits for it.
    """
    if layout.cluster.exists():
        return
    unfinished = layout.directory / "data.unfinished"
    if unfinished.exists():
        shutil.rmtree(unfinished)
    # The builtin locale treats every script alike on every machine; a libc locale changes with the system.
    initdb = [str(binaries / "initdb"), "-D", str(unfinished), f"--username={ROLE}"]
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    access = ["--auth-local=peer", "--auth-host=reject"]
    settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    _run(layout, lock, [*initdb, *locale, *access, *settings, "--data-checksums"])
    single_user = [str(binaries / "postgres"), "--single", "-j", "-D", str(unfinished), "postgres"]
    _run(layout, lock, single_user, stdin=f"CREATE DATABASE {ROLE};\n")
    unfinished.rename(layout.cluster)


def configure(layout: Layout) -> None:
    """Who may connect: whoever the kernel says is this account or root, without a password."""
    names = sorted({account_name(os.geteuid()), account_name(0)})
    quoted = [name.replace('"', '""') for name in names]
    ident = "".join(f'kjxlkj "{name}" {ROLE}\n' for name in quoted)
    _write(layout.cluster / "pg_ident.conf", ident)
    _write(layout.cluster / "pg_hba.conf", "local all all peer map=kjxlkj\n")


def discard_stale_pid_files(layout: Layout) -> None:
    """Remove a dead server's pid files if another process has its id now: PostgreSQL would not start.

    To be called with the server lock held: no server that was started by a keeper is alive.

    Raises StartError: the process is a server of this directory that somebody started by hand.
    """
    for pid_file in (layout.cluster / "postmaster.pid", layout.socket_directory / f".s.PGSQL.{PORT}.lock"):
        pid = recorded_pid(pid_file)
        if pid and is_server_of(layout, pid):
            raise StartError(
                f"A PostgreSQL server that kjxlkj did not start (process {pid}) uses {layout.cluster}. Stop it first."
            )
        if pid is None or _exists(pid):
            pid_file.unlink(missing_ok=True)


def recorded_pid(pid_file: Path) -> int | None:
    """The process id in a lock file of PostgreSQL, which need not be that of a server any more."""
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _exists(pid: int) -> bool:
    """In the way that PostgreSQL asks: a process of another account is no obstacle to it."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def is_server_of(layout: Layout, pid: int) -> bool:
    """Whether a process is a PostgreSQL server over this data directory (servers run inside theirs)."""
    if LINUX:
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == layout.cluster.resolve()
        except OSError:
            return False
    command = ["ps", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no input of users
    return "postgres" in shown.stdout and str(layout.cluster) in shown.stdout


def start(layout: Layout, binaries: Path, lock: int) -> subprocess.Popen[bytes]:
    """Start a server that inherits the lock and stops when this process ends; return when it is ready."""
    socket_directory = str(layout.socket_directory).replace('"', '""')
    essentials = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": f'"{socket_directory}"',
        "unix_socket_permissions": "0700",
    }
    options = [f"--{name}={value}" for name, value in essentials.items()]
    keeper = os.getpid()
    written = layout.log.stat().st_size if layout.log.exists() else 0
    with layout.log.open("ab") as log:
        server = subprocess.Popen(  # noqa: S603 - our own program
            [binaries / "postgres", "-D", layout.cluster, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock],
            # Safe here: the keeper has no other thread yet.
            preexec_fn=lambda: die_with_parent(keeper, signal.SIGINT),
        )
    while not _is_ready(layout, server.pid):
        if server.poll() is not None:
            tail = log_tail(layout.log, start=written)
            raise StartError(f"PostgreSQL did not start in {layout.cluster}. It says:\n{tail}")
        time.sleep(0.01)
    return server


def _is_ready(layout: Layout, pid: int) -> bool:
    """The eighth line of postmaster.pid is the server's state; pg_ctl waits for it in the same way."""
    try:
        lines = (layout.cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _run(layout: Layout, lock: int, command: list[str], *, stdin: str = "") -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        command,
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        pass_fds=[lock],
        check=False,
    )
    if done.returncode:
        raise StartError(
            f"A data directory for PostgreSQL {MAJOR} could not be made in {layout.directory}. "
            f"{Path(command[0]).name} says:\n{done.stderr.strip() or done.stdout.strip()}"
        )


def _write(path: Path, content: str) -> None:
    """Whole or not at all: a full disk must not leave an empty pg_hba.conf."""
    aside = path.with_name(path.name + ".new")
    aside.write_text(content)
    aside.replace(path)
