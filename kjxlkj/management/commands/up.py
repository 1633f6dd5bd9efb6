"""`manage.py up`: everything on one machine. Database if embedded, migrations, a first vault, web and workers."""

import time
from argparse import ArgumentParser, ArgumentTypeError
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import QuerySet

from kjxlkj.errors import Conflict
from kjxlkj.jobs.supervisor import Supervisor, refuse_if_taken
from kjxlkj.workspaces.models import Workspace
from kjxlkj.workspaces.services import SYSTEM_EMAIL, new_setup_token

_DATABASE_PAUSE_SECONDS = 0.5


class Command(BaseCommand):
    help = "Runs kjxlkj on this machine: database, migrations, demo vault (or yours), web and workers. Ctrl-C stops."
    # Everything below tells more clearly what is wrong, and a start should take no longer than it must.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=_port, default=8000)
        parser.add_argument("--host", default="127.0.0.1", help="Where to listen; behind a proxy leave it as it is.")
        parser.add_argument("--vault", type=Path, help="A folder or zip of Markdown to import instead of the demo.")

    def handle(self, *args: Any, host: str, port: int, vault: Path | None, **options: Any) -> None:
        vault = vault.expanduser() if vault else None
        if vault is not None and not vault.exists():
            raise CommandError(f"--vault: there is nothing at {vault}. Name a folder or a zip of Markdown files.")
        bind = f"{host}:{port}"
        try:
            # Before anything is done: most often kjxlkj runs already, and its setup link must go on working.
            refuse_if_taken(bind)
            self._await_database()
            self._prepare(vault)
            token = new_setup_token()
            connection.close()
            address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104  compared, not bound
            welcome = partial(self._welcome, address, token)
            Supervisor(bind=bind, queues=settings.JOB_QUEUES, on_ready=welcome).run()
        except Conflict as error:
            raise CommandError(error.message) from error
        except KeyboardInterrupt as error:
            # The supervisor heeds signals itself: this one came before it ran.
            raise CommandError("Stopped. The same command goes on from here.", returncode=130) from error

    def _await_database(self) -> None:
        """Where it starts beside us (a container of its own), it may need longer. What it refuses is told at once."""
        told = False
        while True:
            try:
                connection.ensure_connection()
            except OperationalError as error:
                if settings.DATABASES["default"]["ENGINE"] == "kjxlkj.embedded_postgres" or _is_refusal(str(error)):
                    raise CommandError(f"The database cannot be used. {error}") from error
                if not told:
                    self.stderr.write(f"{error}\nWaiting for the database of DATABASE_URL; Ctrl-C stops.")
                told = True
                time.sleep(_DATABASE_PAUSE_SECONDS)
            else:
                return

    def _prepare(self, vault: Path | None) -> None:
        self._migrate()
        if vault is not None:
            call_command("demo", vault=vault)
        elif not Workspace.objects.exclude(pk__in=_demo_cut_off()).exists():
            call_command("demo")

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("Preparing the database …")
            call_command("migrate", verbosity=0)

    def _welcome(self, address: str, token: str | None) -> None:
        self.stdout.write(f"\nkjxlkj is up at {address}/")
        if token is not None:
            self.stdout.write(f"Make the first owner here (this link works once): {address}/setup/{token}/")
        self.stdout.write("Ctrl-C stops everything.\n")
        self.stdout.flush()


def _is_refusal(message: str) -> bool:
    """The server is there and will not have us, now or later: a wrong password, no such database."""
    passing = ("starting up", "shutting down", "not yet accepting", "too many", "remaining connection slots")
    return "FATAL:" in message and not any(words in message for words in passing)


def _demo_cut_off() -> QuerySet[Workspace]:
    """The demo's workspace, if loading it was stopped before its rules were there."""
    return Workspace.objects.filter(slug="demo", owner__email=SYSTEM_EMAIL, rules__isnull=True)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise ArgumentTypeError(f"“{text}” is no port. Give a number from 1 to 65535.")
    return int(text)
