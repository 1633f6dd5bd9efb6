"""makemigrations compares with the database's history if the server runs, and does not start it for that."""

import warnings
from typing import Any

from django.core.management.commands import makemigrations

from kjxlkj.embedded_postgres.server import without_starting


class Command(makemigrations.Command):
    def handle(self, *app_labels: Any, **options: Any) -> None:
        with without_starting(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*The embedded PostgreSQL is not running")
            super().handle(*app_labels, **options)
