"""Django on a PostgreSQL of its own that may go away: for programs, and for tests beside the suite's database."""

import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import dj_database_url
from django.db import InterfaceError, OperationalError, connection, connections

from tests.faults.server import Server

T = TypeVar("T")


@contextmanager
def fresh_installation(seed: int | None) -> Iterator[tuple[Server, random.Random]]:
    """Django, set up on an empty, migrated database; and chances, whose seed is printed.

    To be entered once in a process, before anything that needs settings is imported.
    """
    seed = secrets.randbelow(10**6) if seed is None else seed
    print(f"--seed {seed}", flush=True)
    with Server() as server:
        os.environ.update(DATABASE_URL=server.url, DJANGO_SETTINGS_MODULE="tests.faults.settings")
        os.environ["KJXLKJ_LOG_LEVEL"] = "WARNING"  # of this process: hosts log what befalls their jobs
        # What hangs by accident is ended soon, and each message that was taken and lost comes again at the end.
        os.environ.setdefault("KJXLKJ_JOB_TIMEOUT_SECONDS", "6")
        import django

        django.setup()
        migrate()
        yield server, random.Random(seed)


def migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


@contextmanager
def instead_of_the_suites_database(server: Server) -> Iterator[None]:
    """All of this process's models are found on `server`."""
    usual, settings = connections["default"], connections.settings["default"]
    usual.close()
    del connections["default"]
    connections.settings |= connections.configure_settings({"default": {**dj_database_url.parse(server.url)}})
    try:
        yield
    finally:
        connection.close()
        connections.settings["default"] = settings
        connections["default"] = usual


def insist(act: Callable[[], T], seconds: float = 90.0) -> T:
    """Try until the database is there to do it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def wait_until(condition: Callable[[], Any], seconds: float) -> bool:
    """As `wait_for`, whatever becomes of the database meanwhile. False: not in time."""
    deadline = time.monotonic() + seconds
    while not insist(condition):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
