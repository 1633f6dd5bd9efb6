"""An installation of its own for each benchmark: nothing of the user's is read or written, nothing is left."""

import os
import secrets
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CORPORA = Path(os.environ.get("KJXLKJ_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"))

# Where `peer` finds the address of the database, as it knows nothing of Django.
CONNINFO = "KJXLKJ_BENCH_CONNINFO"


class CorpusMissing(Exception):
    """Says which corpus, and where it was looked for."""


def corpus(name: str) -> Path:
    path = CORPORA / f"{name}.zip"
    if not path.exists():
        raise CorpusMissing(f"{name}.zip is not in {CORPORA}; KJXLKJ_CORPORA names another folder.")
    return path


@contextmanager
def fresh_installation(settings: str = "kjxlkj.settings") -> Iterator[Path]:
    """Django, set up on an empty, migrated database, and a data directory (yielded). Both are gone afterwards.

    The database is the embedded one, or a new one on the server of DATABASE_URL. To be entered once in a process,
    before anything that needs settings is imported.
    """
    # Stopped or interrupted: either way everything is put away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="kjxlkj-bench-") as folder, _database(os.environ.get("DATABASE_URL")):
        os.environ.update(KJXLKJ_DATA_DIR=folder, DJANGO_SETTINGS_MODULE=settings)
        os.environ.setdefault("KJXLKJ_LOG_LEVEL", "WARNING")
        import django

        django.setup()
        from django.core.management import call_command

        try:
            call_command("migrate", verbosity=0)
            yield Path(folder)
        finally:
            _let_go()


@contextmanager
def _database(server: str | None) -> Iterator[None]:
    """A new database on `server`, named by DATABASE_URL while it lasts. None: nothing, for the embedded one."""
    if not server:
        yield
        return
    import psycopg
    from psycopg.sql import SQL, Identifier

    name = f"kjxlkj_bench_{secrets.token_hex(4)}"
    address, _, options = server.partition("?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        os.environ["DATABASE_URL"] = f"{address.rpartition('/')[0]}/{name}{'?' if options else ''}{options}"
        try:
            yield
        finally:
            os.environ["DATABASE_URL"] = server
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def _let_go() -> None:
    from django.conf import settings
    from django.db import connection

    connection.close()
    database = settings.DATABASES["default"]
    if database["ENGINE"] == "kjxlkj.embedded_postgres":
        from kjxlkj.embedded_postgres.server import release_and_wait

        release_and_wait(database["EMBEDDED_DATA_DIR"], 60.0)
