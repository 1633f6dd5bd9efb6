"""The whole database as one file: pg_dump's custom format, and what is in it, as they are at one moment."""

import os
from collections.abc import Callable
from concurrent.futures import wait
from typing import IO, Any

import psycopg
from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql

from exports import digests, programs
from exports.programs import Program
from exports.servers import address, live
from kjxlkj.errors import DomainError
from kjxlkj.jobs.outcomes import Retry

OnProgress = Callable[[int, int | None, str], object]

FORMAT = 2
"""Of the manifest. 1 had no number, and of tables no more than how many rows they have."""

# Who wants a table for themselves (ALTER TABLE, VACUUM FULL) waits for us, pg_dump behind them, and we for pg_dump: a
# circle that PostgreSQL cannot see. It ends where pg_dump gives up, and they have their turn.
_LOCK_WAIT_MS = 10_000
# It locks only what we have locked, so that nothing but another's lock can keep it from that.
_LOCKED_OUT = "Query was: LOCK TABLE"

_ATTACHMENTS = """
    SELECT count(*), coalesce(sum(size), 0)::bigint,
        encode(sha256(convert_to(coalesce(string_agg(sha256, E'\\n' ORDER BY sha256 COLLATE "C"), ''), 'UTF8')), 'hex')
    FROM (SELECT DISTINCT sha256, size FROM public.notes_attachment WHERE deleted_at IS NULL) AS content"""


def write_backup(target: IO[bytes], on_progress: OnProgress = lambda done, total, label: None) -> dict[str, Any]:
    """Fill an empty file of this machine; returns the backup's manifest, measured in the snapshot that was dumped.

    `on_progress(done, total, label)` is called now and then and may raise, which ends the dump.
    Raises `DomainError` PG_DUMP_MISSING, PG_DUMP_TOO_OLD or PG_DUMP_FAILED, `Retry` BACKUP_LOCKED.
    """
    program = find_pg_dump()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # The snapshot lasts as long as this transaction, which waits for pg_dump to be done with it.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        session = connection.connection
        with connection.wrap_database_errors:
            digests.pin(session)
            names = digests.tables(session)
            _lock(session, names)
        cursor.execute("SELECT pg_export_snapshot(), current_setting('server_version')")
        snapshot, server = cursor.fetchone()
        manifest = {
            "format": FORMAT,
            "engine": connection.vendor,
            "server_version": server,
            "dump_version": program.version,
            "taken_at": timezone.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
            "schema": _schema(cursor),
            "attachments": _attachments(cursor),
        }
        counters = digests.sequences(session)
        before = digests.positions(session, counters)
        tables = _dump_and_measure(program, snapshot, target, names, on_progress)
        after = digests.positions(session, counters)
    # They heed no snapshot: what was dumped lies between.
    sequences = {name: sorted([before[name], after[name]]) for name in before}
    return {**manifest, "tables": tables, "sequences": sequences}


def find_pg_dump() -> Program:
    """One that can read our server."""
    program = programs.find("pg_dump")
    major = live().server_version // 10_000
    if program.major < major:
        raise DomainError(
            "PG_DUMP_TOO_OLD",
            f"{program.path} is of PostgreSQL {program.version} and cannot read a server of version {major}."
            f" {programs.remedy()}",
        )
    return program


def _schema(cursor: Any) -> dict[str, str]:
    """The last migration of each app."""
    cursor.execute("SELECT app, max(name) FROM public.django_migrations GROUP BY app ORDER BY app")
    return dict(cursor.fetchall())


def _attachments(cursor: Any) -> dict[str, Any]:
    """Of the files that a backup has no more than the names of: contents that differ, and all their names as one."""
    cursor.execute(_ATTACHMENTS)
    return dict(zip(("count", "bytes", "digest"), cursor.fetchone(), strict=True))


def _lock(session: psycopg.Connection[Any], names: list[digests.Name]) -> None:
    """As pg_dump will, so that we never wait for anybody while it waits for us."""
    session.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_LOCK_WAIT_MS}ms"])
    listed = sql.SQL(", ").join(sql.Identifier(*name) for name in names)
    try:
        session.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(listed))
    except psycopg.errors.LockNotAvailable as error:
        raise _locked() from error


def _dump_and_measure(
    program: Program, snapshot: str, target: IO[bytes], names: list[digests.Name], on_progress: OnProgress
) -> dict[str, digests.Figures]:
    """At the same time, for they share nothing but the snapshot, and each takes as long as reading everything."""
    options = ["--format=custom", f"--snapshot={snapshot}", f"--lock-wait-timeout={_LOCK_WAIT_MS}"]
    with connection.wrap_database_errors, digests.measuring(connection.connection, names) as measuring:

        def look() -> None:
            on_progress(os.fstat(target.fileno()).st_size // 1000, None, "kB written")
            if measuring.done():
                measuring.result()

        # Not a pipe: into a file it writes in the end where each table lies, for who restores one, or many at once.
        end = programs.run(program, options, address(), target, look)
        look()
        while end.status == 0 and not measuring.done():
            wait([measuring], programs.LOOK_SECONDS)
            look()
    if end.status != 0:
        _raise(end, measuring.exception())
    return measuring.result()


def _raise(end: programs.End, fault: BaseException | None) -> None:
    # A database that went away is another fault, which may pass: here it would show itself.
    with connection.wrap_database_errors:
        if fault is None:
            connection.connection.execute("SELECT 1")
        elif not isinstance(fault, psycopg.errors.QueryCanceled):
            raise fault
    if _LOCKED_OUT in end.said:
        raise _locked()
    raise DomainError("PG_DUMP_FAILED", f"pg_dump ended with {end.status}. It says: {end.last_words}")


def _locked() -> Retry:
    return Retry(
        "BACKUP_LOCKED",
        f"For {_LOCK_WAIT_MS / 1000:g} s somebody else wanted a table for themselves, as ALTER TABLE and VACUUM "
        "FULL do. Nothing was kept. Back up again when they are done.",
    )
