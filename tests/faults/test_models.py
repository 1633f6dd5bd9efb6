"""Runs that ask a model while workers are killed: what is answered is paid for once."""

import threading
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from automation.models import DailyUse, Run
from librarian.models import Disclosure, Exchange, Operation
from tests.faults.running import Running
from tests.jobs.conftest import wait_for
from tests.librarian.conftest import BOATS, make_boats
from tests.librarian.models import launch, retag, sent_to
from tests.librarian.providers.server import LLMServer

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("faults"),
]


def test_a_worker_that_is_killed_in_the_middle_of_a_request_loses_that_answer_and_no_other(
    supervise: Callable[..., Running], workspace: Any, owner: Any
) -> None:
    """Three requests, one after the other; the worker dies while it waits for the second."""
    killed = threading.Event()
    make_boats(workspace, owner)

    def answer(body: Any) -> str:
        if len(server.requests) == 2:
            killed.wait(30)
        return str(retag(body))

    with LLMServer() as server:
        server.answer = answer
        run = launch(workspace, owner, server, provider={"timeout_ms": 60_000})
        supervise(KJXLKJ_PROVIDER_SLOTS="openai_compatible:1")
        wait_for(lambda: len(server.requests) == 2)
        held = Run.objects.get(pk=run.pk)
        psutil.Process(int(held.lease_owner.rpartition("/")[2])).kill()
        killed.set()
        wait_for(lambda: not Run.objects.unfinished().exists(), 60)
    run.refresh_from_db()
    assert (run.status, run.error_detail) == ("succeeded", "")
    asked = [note_id for request in server.requests for note_id in sent_to(request.body)[0]]
    lost = set(sent_to(server.requests[1].body)[0])
    assert sorted(note_id for note_id in asked if note_id not in lost) == sorted({*asked} - lost)
    assert {asked.count(note_id) for note_id in lost} == {2}
    assert Operation.objects.filter(status="pending").count() == len(BOATS)
    # Of the request that nobody heard the end of, charge and ledger stand.
    (cut_off,) = Exchange.objects.filter(answered_at=None)
    assert cut_off.charged_tokens > 1000
    assert DailyUse.objects.get().tokens == sum(Exchange.objects.values_list("charged_tokens", flat=True))
    assert Disclosure.objects.filter(exchange_id=cut_off.pk, part="text").count() == 2
