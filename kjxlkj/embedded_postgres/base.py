"""The backend: `{"ENGINE": "kjxlkj.embedded_postgres", "NAME": "kjxlkj", "EMBEDDED_DATA_DIR": "/…"}`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql import base, client

from kjxlkj.embedded_postgres import server, users


def _directory(settings_dict: dict[str, Any]) -> Path:
    configured = settings_dict.get("EMBEDDED_DATA_DIR")
    if not configured:
        raise ImproperlyConfigured("A database of the engine kjxlkj.embedded_postgres needs EMBEDDED_DATA_DIR.")
    return Path(configured).resolve()


class DatabaseClient(client.DatabaseClient):
    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        connection = server.ensure_running(_directory(settings_dict))
        (_, *arguments), environment = super().settings_to_cmd_args_env(settings_dict, parameters)
        return [str(server.binaries() / "psql"), *arguments], {
            **(environment or {}),
            **connection.environment,
        }


class DatabaseWrapper(base.DatabaseWrapper):
    client_class = DatabaseClient

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect at once if this process uses the server already; otherwise, or if that fails, start it first."""
        directory = _directory(self.settings_dict)
        if connection := users.held(directory):
            try:
                return self._connect(conn_params, connection)
            except psycopg.OperationalError:
                pass  # the server may have died; if it has not, the second attempt tells the reason
        return self._connect(conn_params, server.ensure_running(directory))

    def _connect(self, conn_params: dict[str, Any], connection: users.ConnectionInfo) -> Any:
        return super().get_new_connection({**conn_params, **connection.parameters})
