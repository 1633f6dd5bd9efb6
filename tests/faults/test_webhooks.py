"""Webhooks while workers are killed: every delivery arrives, under one id however often."""

import threading
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from automation.models import Run
from automation.services import create_rule, launch_rule
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_notes
from tests.automation.webhooks.receiver import Receiver, status
from tests.faults.running import Running
from tests.jobs.conftest import wait_for

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("faults"),
]


def test_a_worker_that_is_killed_before_the_answer_delivers_again(
    supervise: Callable[..., Running], settings: Any, workspace: Any, owner: Any
) -> None:
    """The receiver has the delivery, and nobody here knows of it."""
    settings.WEBHOOK_ALLOW = ["127.0.0.1"]
    killed = threading.Event()

    def hold(handler: Any) -> None:
        killed.wait(30)
        status(204)(handler)

    with Receiver(hold, status(204)) as receiver:
        create_notes(workspace, [NewNote(f"N{i}", path=f"n{i}.md") for i in range(3)], cause=by(owner))
        action = {"kind": "webhook", "url": receiver.url, "timeout_ms": 60_000}
        rule = create_rule(workspace, actor=owner, name="Tell", action_json=action, max_sources=1)
        runs = launch_rule(rule, actor=owner).runs
        supervise(KJXLKJ_WEBHOOK_ALLOW="127.0.0.1")
        wait_for(lambda: receiver.deliveries)
        held = Run.objects.get(pk=receiver.deliveries[0].headers["X-Kjxlkj-Delivery"])
        psutil.Process(int(held.lease_owner.rpartition("/")[2])).kill()
        killed.set()
        wait_for(lambda: not Run.objects.unfinished().exists(), 40)
    assert set(Run.objects.values_list("status", "error_code")) == {("succeeded", "")}
    delivered = [delivery.headers["X-Kjxlkj-Delivery"] for delivery in receiver.deliveries]
    assert set(delivered) == {str(run.pk) for run in runs}
    assert delivered.count(str(held.pk)) == 2
