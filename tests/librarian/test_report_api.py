"""What was exchanged in a run, and what was sent where, over HTTP."""

import pytest

from librarian.models import Disclosure, Exchange

pytestmark = pytest.mark.django_db

NOBODY = "0193a1f0-0000-7000-8000-000000000000"


@pytest.fixture
def exchange(run):
    return Exchange.objects.create(
        run=run,
        stage="propose",
        index=0,
        provider_kind="openrouter",
        host="openrouter.ai",
        model="m",
        system_prompt="You are.",
        prompt="What is?",
        response="That is.",
        reasoning="Hm.",
    )


@pytest.fixture
def disclosure(run, notes, exchange):
    return Disclosure.objects.create(
        workspace=run.workspace,
        note=notes["alpha"],
        note_version=1,
        sha256="0" * 64,
        part="text",
        host="openrouter.ai",
        run_id=run.id,
        exchange_id=exchange.id,
    )


def test_a_list_of_exchanges_holds_no_texts_and_one_alone_holds_them_all(client_for, viewer, run, exchange):
    client = client_for(viewer)
    (row,) = client.get(f"/api/automation/runs/{run.id}/exchanges").json()["results"]
    assert (row["host"], row["model"], row["failure"]) == ("openrouter.ai", "m", "")
    assert "prompt" not in row
    whole = client.get(f"/api/automation/runs/{run.id}/exchanges/{exchange.id}").json()
    assert [whole[name] for name in ("system_prompt", "prompt", "response", "reasoning")] == [
        "You are.",
        "What is?",
        "That is.",
        "Hm.",
    ]


def test_each_exchange_of_the_list_tells_its_status_tokens_cost_and_time(client_for, viewer, run, exchange):
    values = {"http_status": 429, "failure": "rate_limited", "prompt_tokens": 9, "cost": "0.012500", "latency_ms": 70}
    Exchange.objects.filter(pk=exchange.pk).update(**values)
    (row,) = client_for(viewer).get(f"/api/automation/runs/{run.id}/exchanges").json()["results"]
    assert {name: row[name] for name in values} == values


def test_an_exchange_of_another_run_is_not_found(client_for, viewer, run, exchange):
    answer = client_for(viewer).get(f"/api/automation/runs/{run.id}/exchanges/{NOBODY}")
    assert (answer.status_code, answer.json()["code"]) == (404, "EXCHANGE_NOT_FOUND")


def test_outsiders_see_no_exchanges_and_no_ledger(client_for, outsider, run, exchange, disclosure):
    client = client_for(outsider)
    for address in (f"runs/{run.id}/exchanges", f"runs/{run.id}/exchanges/{exchange.id}"):
        answer = client.get(f"/api/automation/{address}")
        assert (answer.status_code, answer.json()["code"]) == (404, "RUN_NOT_FOUND")
    assert client.get("/api/librarian/disclosures").json()["results"] == []


def test_the_ledger_tells_by_note_host_and_run(client_for, viewer, run, notes, disclosure):
    client = client_for(viewer)

    def told(query):
        return len(client.get(f"/api/librarian/disclosures?{query}").json()["results"])

    assert told(f"note_id={notes['alpha'].id}&host=openrouter.ai&run_id={run.id}&part=text") == 1
    assert told(f"note_id={notes['beta'].id}") == told("host=else") == told("part=mention") == 0


@pytest.mark.parametrize("query", ["note_id=x", "part=all", "nonsense=1"])
def test_a_query_of_another_shape_is_refused(client_for, viewer, workspace, query):
    assert client_for(viewer).get(f"/api/librarian/disclosures?{query}").status_code == 400
