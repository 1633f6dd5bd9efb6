"""`manage.py up`: everything on one machine. Database if embedded, migrations, a first vault, web and workers."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from kjxlkj.errors import Conflict
from kjxlkj.jobs.supervisor import Supervisor
from kjxlkj.workspaces.models import Workspace
from kjxlkj.workspaces.services import new_setup_token


class Command(BaseCommand):
    help = "Runs kjxlkj on this machine: database, migrations, demo vault (or yours), web and workers. Ctrl-C stops."
    # Everything below tells more clearly what is wrong, and a start should take no longer than it must.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--host", default="127.0.0.1", help="Where to listen; behind a proxy leave it as it is.")
        parser.add_argument("--vault", type=Path, help="A folder or zip of Markdown to import instead of the demo.")

    def handle(self, *args: Any, host: str, port: int, vault: Path | None, **options: Any) -> None:
        if vault is not None and not vault.exists():
            raise CommandError(f"--vault: there is nothing at {vault}. Name a folder or a zip of Markdown files.")
        self._migrate()
        if vault is not None:
            call_command("demo", vault=vault)
        elif not Workspace.objects.exists():
            call_command("demo")
        token = new_setup_token()
        connection.close()
        address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104  compared, not bound
        supervisor = Supervisor(
            bind=f"{host}:{port}", queues=settings.JOB_QUEUES, on_ready=lambda: self._welcome(address, token)
        )
        try:
            supervisor.run()
        except Conflict as error:
            raise CommandError(error.message) from error

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
