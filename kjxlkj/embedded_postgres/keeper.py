"""`python -m kjxlkj.embedded_postgres.keeper DIRECTORY BINARIES`: the process that the server is a child of.

It starts the server, writes what went wrong (or nothing) to standard output, and then waits for the users'
lock. The kernel gives it that lock when the last user has ended, be it by SIGKILL; then it stops the server, and
holds the lock until it has, so that a newcomer waits and finds nothing half-stopped. It ends when the server
ends, and the server ends when it does. Standard library only, and no Django: it lives as long as the server does.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from kjxlkj.embedded_postgres import cluster, privileges
from kjxlkj.embedded_postgres.layout import Layout, StartError, lock_before, open_lock, private_directory

LARGEST_LOG = 5_000_000
"""Bytes; one older log is kept beside it."""
ORDERLY_STOP = 10.0
STOP_TIMEOUT = 60.0


def main(directory: Path, binaries: Path) -> None:
    if os.fork():
        # Nobody's child: a supervisor that ends its descendants must not end the server under other users.
        os._exit(0)
    _detach()
    try:
        layout, server = _start(directory, binaries)
    except (StartError, OSError) as error:
        os.write(1, str(error).encode())
        return
    with open(os.devnull, "r+b") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # closes the pipe: whoever started the server goes on
        os.dup2(nowhere.fileno(), 2)
    threading.Thread(target=_stop_after_last_user, args=(layout, server), daemon=True).start()
    threading.Thread(target=_bound_log_each_minute, args=(layout.log,), daemon=True).start()
    server.wait()
    if layout.socket_directory != layout.directory:
        with suppress(OSError):  # a server that was killed leaves its socket there
            layout.socket_directory.rmdir()


def _detach() -> None:
    """Take nothing over from whoever happened to come first: session, directory, umask, signals."""
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _start(directory: Path, binaries: Path) -> tuple[Layout, subprocess.Popen[bytes]]:
    layout = Layout(directory)
    if os.geteuid() == 0:
        owner = directory.stat()
        privileges.become(owner.st_uid, owner.st_gid, must_reach=[directory, binaries / "postgres"])
    lock = open_lock(layout.server_lock)
    _take_over(layout, lock)
    private_directory(layout.socket_directory)  # an earlier keeper removes its own just before it lets go
    cluster.ensure_initialised(layout, binaries, lock)
    cluster.discard_stale_pid_files(layout)
    cluster.configure(layout)
    return layout, cluster.start(layout, binaries, lock)


def _take_over(layout: Layout, lock: int) -> None:
    """Wait for an earlier server to be gone; one that nobody can reach and that does not go is stopped."""
    if lock_before(lock, fcntl.LOCK_EX, time.monotonic() + ORDERLY_STOP):
        return
    pid = cluster.recorded_pid(layout.cluster / "postmaster.pid")
    if pid and cluster.is_server_of(layout, pid):
        os.kill(pid, signal.SIGINT)
    if not lock_before(lock, fcntl.LOCK_EX, time.monotonic() + STOP_TIMEOUT):
        raise StartError(
            f"Processes of an earlier PostgreSQL server still use {layout.cluster} and do not end. "
            f"See {layout.log}, and end them (`lsof {layout.server_lock}` names them)."
        )


def _stop_after_last_user(layout: Layout, server: subprocess.Popen[bytes]) -> None:
    fcntl.flock(open_lock(layout.users_lock), fcntl.LOCK_EX)
    server.send_signal(signal.SIGINT)  # fast shutdown: sessions that are left are ended, nothing is lost


def _bound_log_each_minute(log: Path) -> None:
    while True:
        time.sleep(60)
        with suppress(OSError):  # a full disk: the next minute may be better
            bound_log(log)


def bound_log(log: Path) -> None:
    """Copy and truncate: the server appends to the file and never opens it again."""
    if log.stat().st_size > LARGEST_LOG:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
