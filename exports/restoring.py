"""A backup takes the place of the database: restored beside it, compared, migrated, and only then given its name."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from exports import backup_file, digests, scratch
from exports.backup_file import Backup
from exports.differences import differences, said
from exports.programs import Program
from exports.servers import address, connect, live, maintenance
from kjxlkj.errors import Conflict, Forbidden, Invalid
from kjxlkj.workspaces.services import SYSTEM_EMAIL

_LONGEST_NAME = 63
_TERMINATE = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
_MAY_SWAP = """
    SELECT rolsuper OR (rolcreatedb AND pg_has_role(datdba, 'MEMBER')) FROM pg_roles, pg_database
    WHERE rolname = current_user AND datname = current_database()"""


# --- Before anything is touched -------------------------------------------------------------------


def require_restorable(backup: Backup) -> Program:
    """Everything that can be known beforehand. Returns the program that will do it.

    Raises `DomainError` BACKUP_DAMAGED, PG_RESTORE_MISSING, PG_RESTORE_TOO_OLD, SERVER_TOO_OLD, BACKUP_NEWER,
    CREATEDB_MISSING.
    """
    backup_file.require_whole(backup)
    scratch.require_server(backup)
    program = scratch.find_pg_restore(backup)
    _require_contents(backup, program)
    _require_known_schema(backup)
    require_rights()
    return program


def _require_contents(backup: Backup, program: Program) -> None:
    command = [program.path, "--list", str(backup.path)]
    listed = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if listed.returncode != 0:
        raise Invalid("BACKUP_DAMAGED", f"{program.path} cannot read {backup.path}. It says: {listed.stderr.strip()}")


def _require_known_schema(backup: Backup) -> None:
    """A database that is ahead of our code would be a database that it does not understand."""
    known = MigrationLoader(None).disk_migrations
    unknown = [f"{app}.{name}" for app, name in backup.manifest["schema"].items() if (app, name) not in known]
    if unknown:
        raise Invalid(
            "BACKUP_NEWER",
            f"The backup is of a newer kjxlkj: this one does not know {', '.join(unknown)}. Install that version, or "
            "a newer one, and restore there.",
        )


def require_rights() -> None:
    """Raises `Forbidden` CREATEDB_MISSING."""
    with connect(address()["dbname"]) as session:
        may = session.execute(_MAY_SWAP).fetchone()
    if may is None or not may[0]:
        raise Forbidden(
            "CREATEDB_MISSING",
            f"The database's account “{live().user}” has to own the database and to have the right CREATEDB, for the "
            f"backup is restored beside it. A superuser of the server gives it, by "
            f'ALTER ROLE "{live().user}" CREATEDB.',
        )


def require_empty() -> None:
    """Raises `Conflict` DATABASE_NOT_EMPTY: there are people, workspaces, or tables that are not ours."""
    with connect(address()["dbname"]) as session:
        there = {name for schema, name in digests.tables(session) if schema == "public"}
        ours = {"workspaces_workspace", "workspaces_user"} <= there
        people = "SELECT FROM workspaces_user WHERE email <> %s UNION ALL SELECT FROM workspaces_workspace LIMIT 1"
        if there and (not ours or session.execute(people, [SYSTEM_EMAIL]).fetchone() is not None):
            raise Conflict(
                "DATABASE_NOT_EMPTY",
                f"The database “{address()['dbname']}” is not empty. With --replace the backup takes its place, and "
                "it is kept under another name.",
            )


# --- Doing it -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    before: str
    """The name that the former database bears now."""
    mended: Any


def restore(
    backup: Backup, program: Program, mend: Callable[[], Any], say: Callable[[str], object] = lambda words: None
) -> Restored:
    """Put the backup in the place of our database. Whatever fails or is killed, ours stays where it is.

    `mend` is called when all models are found in the restored database and nobody else is there, and may refuse.
    Raises `Invalid` BACKUP_DIFFERS, `DomainError` PG_RESTORE_FAILED, `Conflict` DATABASE_IN_USE.
    """
    name = address()["dbname"]
    with scratch.new_database(f"{scratch.RESTORE}{uuid4().hex}") as restored:
        say("Restoring it beside the database …")
        scratch.fill(restored, backup, program)
        say("Comparing it with its manifest …")
        if found := differences(restored.name, backup):
            raise Invalid("BACKUP_DIFFERS", f"What was restored is not what was backed up. {said(found)}")
        say("Bringing it to the present schema …")
        with instead_of_ours(restored.name):
            call_command("migrate", interactive=False, verbosity=0)
            mended = mend()
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
        say("Putting it in place …")
        before = swap(restored.session, name, restored.name)
        restored.keep = True
    return Restored(before, mended)


@contextmanager
def instead_of_ours(name: str) -> Iterator[None]:
    """All of this thread's models are found in that database of our server."""
    ours = connections["default"]
    ours.close()
    there = ours.copy()
    there.settings_dict["NAME"] = name
    connections["default"] = there
    try:
        yield
    finally:
        there.close()
        connections["default"] = ours


def swap(session: psycopg.Connection[Any], name: str, successor: str) -> str:
    """Give `name` to the database `successor`, in one transaction. Returns the name that the former one has then.

    The first renaming keeps everybody from connecting until the transaction ends, and waits 5 seconds for those who
    are connected to go: that they do is seen to meanwhile. They find the successor when they connect again.
    """
    before = f"{name[: _LONGEST_NAME - 29]}_before_{datetime.now(UTC):%Y%m%dT%H%M%S%f}"[:_LONGEST_NAME]
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    try:
        with maintenance("kjxlkj: ending sessions") as ender, _nobody_in(name, ender), session.transaction():
            session.execute(rename.format(sql.Identifier(name), sql.Identifier(before)))
            session.execute(rename.format(sql.Identifier(successor), sql.Identifier(name)))
            session.execute(sql.SQL("ALTER DATABASE {} RESET synchronous_commit").format(sql.Identifier(name)))
    except psycopg.errors.ObjectInUse as error:
        raise Conflict(
            "DATABASE_IN_USE",
            f"Somebody stays connected to “{name}” who cannot be sent away by this account ({error}). Nothing was "
            "changed. Stop what uses it, and try again.",
        ) from error
    return before


@contextmanager
def _nobody_in(name: str, session: psycopg.Connection[Any]) -> Iterator[None]:
    """Sessions in that database are ended, ours at first, again and again."""
    connection.close()
    done = threading.Event()

    def end() -> None:
        with suppress(psycopg.OperationalError):
            while not done.wait(0.05):
                with suppress(psycopg.errors.InsufficientPrivilege):
                    session.execute(_TERMINATE, [name])

    thread = threading.Thread(target=end, name="ending sessions", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def drop(name: str) -> None:
    with maintenance("kjxlkj: dropping") as session:
        session.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def go_back(name: str, mend: Callable[[], Any]) -> Restored:
    """Give the place of our database to one that it, or another, has taken it from. Raises as `restore`."""
    ours = address()["dbname"]
    with maintenance("kjxlkj: going back") as session:
        if session.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            raise Invalid("DATABASE_NOT_FOUND", f"There is no database “{name}” on this server.")
        with instead_of_ours(name):
            # Maybe we have been upgraded since.
            call_command("migrate", interactive=False, verbosity=0)
            mended = mend()
        return Restored(swap(session, ours, name), mended)
