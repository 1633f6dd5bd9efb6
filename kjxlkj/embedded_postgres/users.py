"""Who uses the server: each process holds one shared lock for its life, which the kernel lets go of for it."""

import fcntl
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from django.db.utils import OperationalError

from kjxlkj.embedded_postgres.layout import PORT, ROLE, Layout, lock_before, open_lock, try_lock
from kjxlkj.embedded_postgres.privileges import account_name

PATIENCE = 300.0
"""Seconds to wait for another process's start or stop: recovery after a crash replays up to 1 GB of log."""


@dataclass(frozen=True)
class ConnectionInfo:
    socket_directory: Path
    account: str

    @property
    def parameters(self) -> dict[str, str]:
        """For psycopg.connect; add a dbname."""
        return {
            "host": str(self.socket_directory),
            "port": str(PORT),
            "user": ROLE,
            "requirepeer": self.account,  # whoever else listens there is not our server
        }

    @property
    def environment(self) -> dict[str, str]:
        """For psql, pg_dump and pg_restore: to be added to their environment."""
        return {f"PG{name.upper()}": value for name, value in self.parameters.items()}


_guard = threading.Lock()
_held: dict[Path, tuple[int, ConnectionInfo]] = {}
"""By directory: the descriptor with this process's lock on users.lock, and how to connect."""


def held(directory: Path) -> ConnectionInfo | None:
    """How to connect, if this process is a user of the directory's server already; no more than a look-up."""
    entry = _held.get(directory)
    return entry and entry[1]


def hold(layout: Layout) -> ConnectionInfo:
    """Be counted as a user until this process ends."""
    with _guard:
        entry = _held.get(layout.directory)
        if entry and _is_open_at(entry[0], layout.users_lock):
            return entry[1]
        if entry:
            os.close(_held.pop(layout.directory)[0])
        lock = open_lock(layout.users_lock)
        # Not to be had while the keeper stops the server: what follows must not meet one that is going.
        if not lock_before(lock, fcntl.LOCK_SH, time.monotonic() + PATIENCE):
            os.close(lock)
            raise OperationalError(
                f"PostgreSQL in {layout.directory} has been stopping for too long; see {layout.log}."
            )
        connection = ConnectionInfo(layout.socket_directory, account_name(layout.directory.stat().st_uid))
        _held[layout.directory] = lock, connection
        return connection


def release(layout: Layout) -> bool:
    """Stop being a user; False if this process was none."""
    with _guard:
        entry = _held.pop(layout.directory, None)
    if entry:
        os.close(entry[0])
    return entry is not None


def is_stopping(layout: Layout) -> bool:
    """Whether the server still runs though nobody uses it: the keeper's lock is told from a user's."""
    users, server = open_lock(layout.users_lock), open_lock(layout.server_lock)
    try:
        if try_lock(server, fcntl.LOCK_SH):
            return False
        return try_lock(users, fcntl.LOCK_EX) or not try_lock(users, fcntl.LOCK_SH)
    finally:
        os.close(users)
        os.close(server)


def _is_open_at(descriptor: int, path: Path) -> bool:
    """False when the directory was removed, or removed and made anew, under a living process."""
    return path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())


def _forget_after_fork() -> None:
    """A child's copy of the lock is the parent's; the child takes its own when it connects."""
    global _guard
    _guard = threading.Lock()  # another thread of the parent may have held it
    for lock, _ in _held.values():
        os.close(lock)
    _held.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
