"""The whole database as one file: pg_dump's custom format, and what is in it, as they are at one moment."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql

from kjxlkj.errors import DomainError
from kjxlkj.jobs.leash import leashed
from kjxlkj.jobs.outcomes import Retry

OnProgress = Callable[[int, int | None, str], object]

# How often a dump is looked after: its progress shown, a cancel heeded.
_LOOK_SECONDS = 0.25
_SAID_CHARACTERS = 2000
# Who wants a table for themselves (ALTER TABLE, VACUUM FULL) waits for our count, pg_dump behind them, and we for
# pg_dump: a circle that PostgreSQL cannot see. It ends where pg_dump gives up, and they have their turn.
_LOCK_WAIT_MS = 10_000
# It locks only what was counted just now, so that nothing but another's lock can keep it from that.
_LOCKED_OUT = "Query was: LOCK TABLE"
# Of our environment; what concerns the connection stands in its description, and keys are nobody's business.
_PASSED_ON = ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")

_UNLIMITED = """
    SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('idle_in_transaction_session_timeout', 'statement_timeout', 'transaction_timeout')"""
_TABLES = """
    SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname <> 'information_schema' AND schemaname NOT LIKE 'pg\\_%'
    ORDER BY schemaname, tablename"""


def write_backup(target: IO[bytes], on_progress: OnProgress = lambda done, total, label: None) -> dict[str, Any]:
    """Fill an empty file of this machine; returns the backup's manifest, counted in the snapshot that was dumped.

    `on_progress(done, total, label)` is called now and then and may raise, which ends the dump.
    Raises `DomainError` PG_DUMP_MISSING, PG_DUMP_TOO_OLD or PG_DUMP_FAILED, `Retry` BACKUP_LOCKED.
    """
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # The snapshot lasts as long as this transaction, which waits for pg_dump to be done with it.
        cursor.execute(_UNLIMITED)
        program, version = find_pg_dump()
        cursor.execute("SELECT pg_export_snapshot(), current_setting('server_version')")
        snapshot, server = cursor.fetchone()
        manifest = {
            "engine": connection.vendor,
            "server_version": server,
            "dump_version": version,
            "taken_at": timezone.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
            "schema": _schema(cursor),
            "tables": _count(cursor, on_progress),
        }
        options = ["--format=custom", "--no-password", f"--snapshot={snapshot}", f"--lock-wait-timeout={_LOCK_WAIT_MS}"]
        _dump([program, *options], target, on_progress)
    return manifest


def find_pg_dump() -> tuple[str, str]:
    """The program beside the psql that the database's backend would use, and its version."""
    (psql, *_), _ = connection.client.settings_to_cmd_args_env(connection.settings_dict, [])
    major = _live().server_version // 10_000
    remedy = f"Install the client programs of PostgreSQL {major} or newer where the workers run, within their PATH."
    program = shutil.which(Path(psql).with_name("pg_dump"))
    if program is None:
        raise DomainError("PG_DUMP_MISSING", f"A SQL backup needs pg_dump, which is not to be found here. {remedy}")
    asked = subprocess.run([program, "--version"], capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    said = re.search(r"\(PostgreSQL\) ((\d+)\S*)", asked.stdout)
    if said is None:
        raise DomainError("PG_DUMP_MISSING", f"{program} is not the pg_dump of PostgreSQL. {remedy}")
    if int(said[2]) < major:
        raise DomainError(
            "PG_DUMP_TOO_OLD",
            f"{program} is of PostgreSQL {said[1]} and cannot read a server of version {major}. {remedy}",
        )
    return program, said[1]


def _live() -> Any:
    """psycopg's description of the connection that is in use, whatever it was made from."""
    connection.ensure_connection()
    return connection.connection.info


def _schema(cursor: Any) -> dict[str, str]:
    """The last migration of each app."""
    cursor.execute("SELECT app, max(name) FROM django_migrations GROUP BY app ORDER BY app")
    return dict(cursor.fetchall())


def _count(cursor: Any, on_progress: OnProgress) -> dict[str, int]:
    """How many rows each table has."""
    cursor.execute(_TABLES)
    tables = cursor.fetchall()
    rows = {}
    for done, (schema, table) in enumerate(tables):
        on_progress(done, len(tables), "tables counted")
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table)))
        rows[f"{schema}.{table}"] = cursor.fetchone()[0]
    return rows


def _dump(command: list[str], target: IO[bytes], on_progress: OnProgress) -> None:
    info = _live()
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    if info.password:
        # Of a process of our own account, while command lines can be read by every account.
        environment["PGPASSWORD"] = info.password
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own program
            leashed([*command, f"--dbname={info.dsn}"]),
            cwd=settings.BASE_DIR,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            # Not a pipe: into a file it writes in the end where each table lies, for who restores one, or many at once.
            stdout=target,
            stderr=said,
        )
        try:
            _await(process, target, on_progress)
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            _raise(process.returncode, said)


def _await(process: subprocess.Popen[bytes], target: IO[bytes], on_progress: OnProgress) -> None:
    while True:
        on_progress(os.fstat(target.fileno()).st_size // 1000, None, "kB written")
        if process.returncode is not None:
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_SECONDS)


def _raise(status: int, said: IO[bytes]) -> None:
    # A database that went away is another fault, which may pass: here it would show itself.
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    said.seek(0)
    words = said.read().decode(errors="replace").strip()
    if _LOCKED_OUT in words:
        raise Retry(
            "BACKUP_LOCKED",
            f"For {_LOCK_WAIT_MS / 1000:g} s somebody else wanted a table for themselves, as ALTER TABLE and VACUUM "
            "FULL do. Nothing was kept. Back up again when they are done.",
        )
    words = words[-_SAID_CHARACTERS:] or "nothing"
    raise DomainError("PG_DUMP_FAILED", f"pg_dump ended with {status}. It says: {words}")
