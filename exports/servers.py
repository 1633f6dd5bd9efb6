"""The server that our database is on: how to connect to it, and to other databases there."""

from typing import Any

import psycopg
from django.db import connection


def live() -> Any:
    """psycopg's description of the connection that is in use, whatever it was made from."""
    connection.ensure_connection()
    return connection.connection.info


def address(database: str | None = None) -> dict[str, str]:
    """How to connect to a database of the server, ours if none is named; with the password, if there is one."""
    info = live()
    parameters: dict[str, str] = info.get_parameters()
    if info.password:
        parameters["password"] = info.password
    return {**parameters, "dbname": database} if database else parameters


def connect(database: str, **parameters: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(**{**address(database), **parameters})


def maintenance(name: str) -> psycopg.Connection[Any]:
    """A session beside our database, from which others can be made, renamed and dropped. It bears `name`."""
    beside = "postgres" if address()["dbname"] != "postgres" else "template1"
    session = connect(beside, autocommit=True, application_name=name)
    # It is idle for as long as a restore takes, and where it ends, what it has made counts as left behind.
    session.execute("SET idle_session_timeout = 0")
    return session
