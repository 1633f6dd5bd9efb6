"""New databases on our server, filled from a backup: to look at and to drop again, or to take the place of ours."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from django.db import connection
from psycopg import sql

from exports import programs
from exports.backup_file import Backup
from exports.programs import Program
from exports.servers import address, connect, live, maintenance
from kjxlkj.errors import DomainError, Forbidden, Invalid

VERIFY, RESTORE = "kjxlkj_verify_", "kjxlkj_restore_"

# `to_jsonb`, for the names of the columns differ between versions.
_LOOKS = """
    SELECT pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider,
        coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), pg_get_userbyid(datdba)
    FROM pg_database d WHERE datname = current_database()"""
# Whoever makes one bears its name from before it is there until it is gone.
_LEFT_BEHIND = """
    SELECT datname FROM pg_database d
    WHERE starts_with(datname, %s) AND pg_has_role(datdba, 'MEMBER')
    AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = d.datname)"""


class Scratch:
    """A database that was made, and the session from which it was."""

    def __init__(self, name: str, session: psycopg.Connection[Any]) -> None:
        self.name = name
        self.session = session
        # Set where it is to outlive its block.
        self.keep = False

    @property
    def kilobytes(self) -> int:
        found = self.session.execute("SELECT pg_database_size(%s) / 1000", [self.name]).fetchone()
        return int(found[0]) if found else 0


@contextmanager
def new_database(name: str) -> Iterator[Scratch]:
    """An empty database like ours, which is dropped at the end unless `keep` was set.

    Raises `Forbidden` CREATEDB_MISSING. Meant for outside of transactions.
    """
    with connection.wrap_database_errors, maintenance(name) as session:
        drop_leftovers()
        _create(session, name)
        scratch = Scratch(name, session)
        try:
            yield scratch
        finally:
            if not scratch.keep:
                # Whatever ended the block is what is to be told of. What stays, the next one drops.
                with suppress(psycopg.Error):
                    _drop(session, name)


def drop_leftovers() -> int:
    """Those of makers that were killed. Returns how many."""
    dropped = 0
    with connect(address()["dbname"], autocommit=True) as session:
        for prefix in (VERIFY, RESTORE):
            for (name,) in session.execute(_LEFT_BEHIND, [prefix]).fetchall():
                _drop(session, name)
                dropped += 1
    return dropped


def _create(session: psycopg.Connection[Any], name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOOKS)
        encoding, collate, ctype, provider, locale, owner = cursor.fetchone()
    options = {"TEMPLATE": "template0", "ENCODING": encoding, "LC_COLLATE": collate, "LC_CTYPE": ctype, "OWNER": owner}
    if locale:
        options |= {"LOCALE_PROVIDER": "icu", "ICU_LOCALE": locale}
        if provider == "b":
            options |= {"LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": options.pop("ICU_LOCALE")}
    made = sql.Identifier(name)
    written = sql.SQL(" ").join(sql.SQL(f"{key} {{}}").format(sql.Literal(value)) for key, value in options.items())
    try:
        session.execute(sql.SQL("CREATE DATABASE {} {}").format(made, written))
    except psycopg.errors.InsufficientPrivilege as error:
        raise Forbidden(
            "CREATEDB_MISSING",
            f"The database's account “{live().user}” may not make a database beside ours, which this needs. "
            f'A superuser of the server lets it, by ALTER ROLE "{live().user}" CREATEDB.',
        ) from error
    # Each of a thousand statements of a restore would wait for the disk. What is kept of it is on the disk with the
    # commit of whoever takes it into use.
    session.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(made))


def _drop(session: psycopg.Connection[Any], name: str) -> None:
    session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def find_pg_restore(backup: Backup) -> Program:
    """One that can read the backup. Raises `DomainError` PG_RESTORE_MISSING, PG_RESTORE_TOO_OLD."""
    program = programs.find("pg_restore")
    written_by = major(backup.manifest["dump_version"])
    if program.major < written_by:
        raise DomainError(
            "PG_RESTORE_TOO_OLD",
            f"{program.path} is of PostgreSQL {program.version} and cannot read what pg_dump of version {written_by} "
            f"has written. {programs.remedy(written_by)}",
        )
    return program


def require_server(backup: Backup) -> None:
    """Raises `Invalid` SERVER_TOO_OLD."""
    ours, theirs = live().server_version // 10_000, major(backup.manifest["server_version"])
    if ours < theirs:
        raise Invalid(
            "SERVER_TOO_OLD",
            f"The backup is of PostgreSQL {theirs}, and cannot be restored into this server of version {ours}. "
            f"Use a server of version {theirs} or newer.",
        )


def major(version: str) -> int:
    """`18.1 (Debian …)`, `18beta1` → 18."""
    digits = "".join(character if character.isdecimal() else " " for character in version).split()
    return int(digits[0]) if digits else 0


def fill(scratch: Scratch, backup: Backup, program: Program, look: Callable[[], object] = lambda: None) -> None:
    """Restore the backup there. Raises `DomainError` PG_RESTORE_FAILED."""
    # Everything belongs to us there, whoever it belonged to: names of accounts differ from server to server.
    options = ["--no-owner", "--no-privileges"]
    is_newer = program.major >= 17 > live().server_version // 10_000
    if not is_newer:
        options.append("--exit-on-error")
    end = programs.run(program, [*options, str(backup.path)], address(scratch.name), subprocess.DEVNULL, look)
    # From version 17 on it sets a limit first that older servers do not know, and that is all that may go wrong.
    faults = [line for line in end.said.splitlines() if "error:" in line and "transaction_timeout" not in line]
    if end.status != 0 and (faults or not is_newer):
        scratch.session.execute("SELECT 1")  # a server that is away is another fault
        raise DomainError("PG_RESTORE_FAILED", f"pg_restore ended with {end.status}. It says: {end.last_words}")
