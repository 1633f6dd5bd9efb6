"""Where things lie. Standard library only: the keeper imports this, and stays small."""

import fcntl
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

MAJOR = 18
"""The PostgreSQL version whose data directories are read and made."""
PORT = 5432
"""Only names the socket file: nothing listens on TCP."""
ROLE = "kjxlkj"
LINUX = os.uname().sysname == "Linux"
LONGEST_SOCKET_PATH = 107 if LINUX else 103
"""Bytes: sizeof(sockaddr_un.sun_path) less its NUL."""


class StartError(Exception):
    """The server cannot be run here, or not by this account; the message says why and what to do."""


@dataclass(frozen=True)
class Layout:
    directory: Path

    @property
    def cluster(self) -> Path:
        return self.directory / "data"

    @property
    def users_lock(self) -> Path:
        """Shared by every process that uses the server; whoever gets it alone knows that none is left."""
        return self.directory / "users.lock"

    @property
    def start_lock(self) -> Path:
        """Held by the one process that is starting the server."""
        return self.directory / "start.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the keeper, the server and all its backends (they inherit it): free means all are gone."""
        return self.directory / "server.lock"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def socket_directory(self) -> Path:
        """The directory itself, or where that does not fit a socket address, a private one in /tmp.

        Not tempfile.gettempdir(): TMPDIR may differ between processes that must find the same place.
        A comma would part the path into two hosts for libpq.
        """
        name = os.fsencode(self.directory / f".s.PGSQL.{PORT}")
        if len(name) <= LONGEST_SOCKET_PATH and b"," not in name:
            return self.directory
        return Path("/tmp") / f"kjxlkj-{hashlib.sha256(name).hexdigest()[:24]}"  # noqa: S108 - see private_directory


def open_lock(path: Path) -> int:
    """A new descriptor, not inherited by programs, of a lock file that belongs to the directory's owner."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def try_lock(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_before(descriptor: int, mode: int, deadline: float) -> bool:
    """Take a lock, or give up at a deadline of time.monotonic()."""
    while not try_lock(descriptor, mode):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def private_directory(path: Path) -> None:
    """Make a directory that is this account's alone; StartError if something else is in its place."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o170077 != 0o040000:
        raise StartError(
            f"{path} is not a directory that only this account can use; the server's socket would be exposed "
            "there. Remove it, or choose a shorter KJXLKJ_DATA_DIR so that it is not needed."
        )


def log_tail(log: Path, *, start: int = 0, limit: int = 2000) -> str:
    """The last characters that were written to a log after byte `start`."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - limit))
            return file.read(limit).decode(errors="replace").strip()
    except OSError as error:
        return f"({log} cannot be read: {error})"
