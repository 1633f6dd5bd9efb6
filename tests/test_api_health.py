"""Liveness, readiness and the doctor."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from kjxlkj.health import examine

pytestmark = pytest.mark.django_db


def test_the_process_is_alive_without_asking_anything(django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = Client().get("/api/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_without_workers_the_instance_is_not_ready():
    answer = Client().get("/api/readyz")
    body = answer.json()
    assert (answer.status_code, body["code"]) == (503, "NOT_READY")
    checks = body["details"]["checks"]
    assert {name: check["ok"] for name, check in checks.items()} == {
        "database": True,
        "migrations": True,
        "workers": False,
    }
    assert "workers" in body["message"]
    assert "queue_depth" in checks["workers"]


def test_missing_migrations_are_told(db):
    MigrationRecorder.Migration.objects.filter(app="exports").delete()
    check = examine()["migrations"]
    assert (check.ok, check.facts["missing"] >= 1) == (False, True)
    assert "manage.py migrate" in check.message


def test_the_doctor_names_what_is_wrong_and_what_to_do():
    out = StringIO()
    with pytest.raises(CommandError, match="workers"):
        call_command("doctor", stdout=out)
    assert "PostgreSQL" in out.getvalue()
    assert "manage.py supervise" in out.getvalue()
