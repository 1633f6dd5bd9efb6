"""What was accepted, and what rules may therefore apply by themselves, over HTTP."""

import pytest

from automation.services import update_rule
from librarian.services import Decision, review
from tests.librarian.conftest import op

pytestmark = pytest.mark.django_db


@pytest.fixture
def decided(propose, notes, owner):
    operations = propose(
        op("retag_note", notes["alpha"], tags=("x",), confidence=0.95),
        op("retag_note", notes["beta"], tags=("x",), confidence=0.95),
    )
    review([Decision(operations[0].id, "apply"), Decision(operations[1].id, "reject", "no")], actor=owner)


def test_acceptance_is_told_by_model_kind_and_band(client_for, viewer, workspace, rule, decided):
    address = f"/api/librarian/acceptance?workspace_id={workspace.id}&rule_id={rule.id}"
    assert client_for(viewer).get(address).json()["results"] == [
        {
            "model": "",
            "kind": "retag_note",
            "confidence": "90–100 %",
            "decided": 2,
            "accepted": 1,
            "rate": 0.5,
            "mean_confidence": 0.95,
        }
    ]


def test_a_rule_tells_what_it_may_apply_by_itself_and_why_not(client_for, viewer, owner, rule, decided):
    address = f"/api/automation/rules/{rule.id}/auto-apply"
    assert client_for(viewer).get(address).json() == {"results": []}
    plan = {"review": "auto", "auto_apply": {"retag_note": 0.9}}
    update_rule(rule, actor=owner, action_json={"kind": "librarian_structure", "plan": plan})
    (gate,) = client_for(viewer).get(address).json()["results"]
    assert (gate["is_open"], gate["decided"], gate["needed"]) == (False, 2, 30)
    assert gate["why"] == "2 of 30 decisions; people review them until then."


def test_outsiders_learn_nothing(client_for, outsider, workspace, rule):
    client = client_for(outsider)
    assert client.get(f"/api/automation/rules/{rule.id}/auto-apply").json()["code"] == "RULE_NOT_FOUND"
    answer = client.get(f"/api/librarian/acceptance?workspace_id={workspace.id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "WORKSPACE_NOT_FOUND")


@pytest.mark.parametrize("query", ["", "workspace_id=x"])
def test_a_query_without_its_workspace_is_refused(client_for, viewer, workspace, query):
    assert client_for(viewer).get(f"/api/librarian/acceptance?{query}").status_code == 400
