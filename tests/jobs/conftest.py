import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from kjxlkj.jobs import heartbeat, services
from tests.jobs.testapp.models import Errand


def add_errand(script: str = "succeed", argument: object = "", **fields: Any) -> Errand:
    with transaction.atomic():
        errand = Errand.objects.create(script=script, argument=str(argument), **fields)
        services.enqueue(errand)
    return errand


def run(errand: Errand) -> Errand:
    """Deliver its message; the row as it is afterwards."""
    services.execute("testapp.errand", errand.pk)
    errand.refresh_from_db()
    return errand


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return result


def history(errand: Errand) -> list[str]:
    return [f"{a.previous}>{a.status}" for a in errand.announcements.order_by("pk")]


@pytest.fixture
def short_lease(settings: Any, monkeypatch: Any) -> float:
    """A lease that can be waited for, and a heart that beats in time for it."""
    settings.JOB_LEASE_SECONDS = 0.8
    monkeypatch.setattr(heartbeat, "heart", heartbeat.Heart())
    return 0.8
