"""An installation on a PostgreSQL of a test's own, whose database may be damaged, replaced and renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from kjxlkj.jobs import heartbeat
from tests.exports.servers import OURS
from tests.faults.installation import instead_of_the_suites_database, migrate
from tests.faults.server import ROLE, Server

LIVE = "live"


class Installation:
    """A database `live` on a server; `url` describes it."""

    def __init__(self, server: Server, folder: Path = OURS) -> None:
        self.server = server
        self.programs = folder
        self.url = server.url.removesuffix(ROLE) + LIVE

    def sql(self, statement: str, *parameters: Any, database: str = "postgres") -> list[Any]:
        with psycopg.connect(self.server.url, dbname=database, autocommit=True) as session:
            cursor = session.execute(sql.SQL(statement), parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def databases(self) -> set[str]:
        """All but those that every server has, and the pattern."""
        found = self.sql("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'")
        return {name for (name,) in found} - {ROLE, "pattern"}

    def make(self, name: str, *, like: str = "template0") -> None:
        self.sql(f"CREATE DATABASE {name} TEMPLATE {like}")

    def clear(self) -> None:
        for name in self.databases():
            self.sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    @contextmanager
    def in_use(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """All of this process's models are found in it, and PostgreSQL's programs on the PATH."""
        with monkeypatch.context() as patch:
            # The suite's has its connection already.
            patch.setattr(heartbeat, "heart", heartbeat.Heart())
            patch.setenv("PATH", f"{self.programs}{os.pathsep}{os.environ['PATH']}")
            with instead_of_the_suites_database(self):  # type: ignore[arg-type]
                yield


@contextmanager
def installed(folder: Path = OURS) -> Iterator[Installation]:
    """With `pattern`, a migrated database to make others of."""
    with Server(programs=folder) as server:
        installation = Installation(server, folder)
        with instead_of_the_suites_database(server):
            migrate()
            connection.close()
        installation.sql(f"ALTER DATABASE {ROLE} RENAME TO pattern")
        installation.sql(f"CREATE DATABASE {ROLE}")
        yield installation
