"""Is this instance well? Asked by load balancers (`readyz`) and by people (`manage.py doctor`)."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kjxlkj.envelope import envelope
from kjxlkj.jobs.health import snapshot
from kjxlkj.storing import StorageFault, place, probe


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what is known in numbers, and, where it is not well, what to do about it."""

    ok: bool
    message: str
    facts: dict[str, Any] = field(default_factory=dict)


def check_database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version')")
            version = cursor.fetchone()[0]
    except DatabaseError as error:
        return Check(False, f"The database cannot be reached: {error}. Start it, or look at DATABASE_URL.")
    return Check(True, f"PostgreSQL {version} answers.", {"version": version})


def check_migrations() -> Check:
    try:
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError as error:
        return Check(False, f"Unknown: {error}")
    if missing:
        return Check(False, f"{missing} migrations are missing. Run manage.py migrate.", {"missing": missing})
    return Check(True, "The schema is up to date.", {"missing": 0})


def check_workers() -> Check:
    try:
        facts = snapshot()
    except DatabaseError as error:
        return Check(False, f"Unknown: {error}")
    if facts["ready"]:
        return Check(True, "Workers answer.", facts)
    silent = ", ".join(facts["unserved"])
    return Check(False, f"No workers answer for: {silent}. Run manage.py supervise (manage.py up does).", facts)


def check_storage() -> Check:
    """Not among CHECKS: load balancers ask too often for a bucket to be written each time."""
    try:
        probe()
    except (StorageFault, OSError) as fault:
        return Check(False, str(fault))
    except ImproperlyConfigured as error:
        return Check(False, f"{error} Without KJXLKJ_S3_BUCKET files are in a folder.")
    return Check(True, f"Files are written to and read from {place()}.")


CHECKS: dict[str, Callable[[], Check]] = {
    "database": check_database,
    "migrations": check_migrations,
    "workers": check_workers,
}


def examine() -> dict[str, Check]:
    """Every check by its name, in order of dependence."""
    return {name: check() for name, check in CHECKS.items()}


@dataclass(frozen=True, slots=True)
class Examination:
    """More that `doctor` can look at when its options ask for it; an app registers it from its `ready()`."""

    add_arguments: Callable[[ArgumentParser], None]
    examine: Callable[[Mapping[str, Any]], list[tuple[str, Check]]]
    """With the command's options; empty: it was not asked for."""


EXAMINATIONS: list[Examination] = []


_ALIVE = inline_serializer("Alive", {"status": serializers.CharField()})
_READY = inline_serializer("Ready", {"status": serializers.CharField(), "checks": serializers.DictField()})


class HealthView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(responses=_ALIVE, auth=[])
    def get(self, request: Request) -> Response:
        """The process answers. Asks nothing else, so that a database's trouble does not restart web servers."""
        return Response({"status": "ok"})


class ReadyView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(responses=_READY, auth=[])
    def get(self, request: Request) -> Response:
        """Database, migrations, workers and queues; 503 NOT_READY with the same details where one is not well."""
        found = examine()
        checks = {
            # Error texts of the database name hosts and accounts: they are for `doctor`, not for everybody.
            name: {"ok": check.ok, **{fact: value for fact, value in check.facts.items() if fact != "clusters"}}
            for name, check in found.items()
        }
        sick = [name for name, check in found.items() if not check.ok]
        if sick:
            message = f"Not ready: {', '.join(sick)}. manage.py doctor tells more."
            return Response(envelope("NOT_READY", message, {"checks": checks}), HTTPStatus.SERVICE_UNAVAILABLE)
        return Response({"status": "ready", "checks": checks})
