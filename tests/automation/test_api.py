"""Rules and runs over HTTP: success, stranger, wrong role, bad input."""

import pytest

from automation.services import create_rule
from kjxlkj.jobs.serializers import JOB_FIELDS
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_notes
from kjxlkj.workspaces.models import WorkspaceEvent

pytestmark = pytest.mark.django_db

NOBODY = "0193a1f0-0000-7000-8000-000000000000"
LIBRARIAN = {"kind": "librarian_structure"}


@pytest.fixture
def rule(workspace, owner):
    return create_rule(workspace, actor=owner, name="Tidy", action_json=LIBRARIAN)


@pytest.fixture
def notes(workspace, owner):
    return create_notes(workspace, [NewNote(f"N{i}", path=f"n{i}.md") for i in range(3)], cause=by(owner))


def test_a_rule_is_made_read_changed_and_deleted(client_for, admin, workspace):
    api = client_for(admin)
    made = api.post("/api/automation/rules", {"workspace_id": str(workspace.id), "name": "R", "action_json": LIBRARIAN})
    assert made.status_code == 201, made.json()
    rule = made.json()
    assert (rule["trigger"], rule["enabled"], rule["workspace_id"]) == ("manual", True, str(workspace.id))
    address = f"/api/automation/rules/{rule['id']}"
    assert api.get(address).json() == rule
    assert api.patch(address, {"enabled": False}).json()["enabled"] is False
    listed = api.get("/api/automation/rules", {"workspace_id": str(workspace.id)}).json()
    assert [row["id"] for row in listed["results"]] == [rule["id"]]
    assert api.delete(address).status_code == 204
    assert api.get(address).status_code == 404


def test_faults_of_a_rule_carry_their_paths(client_for, owner, workspace):
    body = {"workspace_id": str(workspace.id), "name": "R", "action_json": {"kind": "x"}, "condition_json": {"tog": 1}}
    answer = client_for(owner).post("/api/automation/rules", body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "RULE_INVALID"
    paths = [fault["path"] for fault in answer.json()["details"]["faults"]]
    assert paths == ["condition_json.tog", "action_json.kind"]


@pytest.mark.parametrize("body", [{"name": "R"}, {"naem": "R"}, [], {"workspace_id": "x", "name": "R"}])
def test_a_malformed_rule_is_a_bad_request(client_for, owner, body):
    answer = client_for(owner).post("/api/automation/rules", body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "BAD_REQUEST"


def test_launching_answers_with_the_runs(client_for, owner, rule, notes):
    answer = client_for(owner).post(f"/api/automation/rules/{rule.id}/launch", {})
    assert answer.status_code == 202
    run = answer.json()["runs"][0]
    assert (run["status"], run["trigger"], run["rule_id"], run["rule_name"]) == (
        "queued",
        "manual",
        str(rule.id),
        "Tidy",
    )


def test_the_same_event_again_is_answered_with_200(client_for, owner, rule, notes):
    event = WorkspaceEvent.objects.get(note_id=notes[0].id)
    api = client_for(owner)
    first = api.post(f"/api/automation/rules/{rule.id}/launch", {"event_id": str(event.id)})
    again = api.post(f"/api/automation/rules/{rule.id}/launch", {"event_id": str(event.id)})
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["runs"][0]["id"] == again.json()["runs"][0]["id"]


def test_a_disabled_rule_is_not_launched(client_for, owner, rule, notes):
    api = client_for(owner)
    api.patch(f"/api/automation/rules/{rule.id}", {"enabled": False})
    answer = api.post(f"/api/automation/rules/{rule.id}/launch", {})
    assert (answer.status_code, answer.json()["code"]) == (422, "RULE_DISABLED")


def test_runs_are_listed_read_cancelled_and_retried(client_for, owner, rule, notes):
    api = client_for(owner)
    run = api.post(f"/api/automation/rules/{rule.id}/launch", {}).json()["runs"][0]
    listed = api.get("/api/automation/runs", {"rule_id": str(rule.id), "status": "queued"}).json()["results"]
    assert [row["id"] for row in listed] == [run["id"]]
    assert api.post(f"/api/automation/runs/{run['id']}/retry", {}).status_code == 409
    cancelled = api.post(f"/api/automation/runs/{run['id']}/cancel", {}).json()
    assert (cancelled["status"], cancelled["error_code"]) == ("failed", "CANCELLED")
    again = api.post(f"/api/automation/runs/{run['id']}/retry", {})
    assert (again.status_code, again.json()["trigger"]) == (202, "retry")
    assert api.get(f"/api/automation/runs/{run['id']}").json()["rule_snapshot"]["name"] == "Tidy"


def test_all_that_a_job_tells_of_its_progress_is_on_the_wire(client_for, owner, rule, notes):
    api = client_for(owner)
    launched = api.post(f"/api/automation/rules/{rule.id}/launch", {}).json()["runs"][0]
    read = api.get(f"/api/automation/runs/{launched['id']}").json()
    assert launched.keys() >= set(JOB_FIELDS)
    assert (read["queue"], read["max_attempts"], read["cancel_requested"]) == ("default", 3, False)
    assert {name: read[name] for name in JOB_FIELDS} == {name: launched[name] for name in JOB_FIELDS}


@pytest.mark.parametrize("method, path", [("post", "launch"), ("patch", ""), ("delete", "")])
def test_a_member_without_the_right_is_refused_and_a_stranger_learns_nothing(
    client_for, editor, outsider, rule, method, path
):
    address = f"/api/automation/rules/{rule.id}" + (f"/{path}" if path else "")
    refused = getattr(client_for(editor), method)(address, {})
    assert (refused.status_code, refused.json()["code"]) == (403, "ROLE_FORBIDDEN")
    unknown = getattr(client_for(outsider), method)(address, {})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "RULE_NOT_FOUND")


@pytest.mark.parametrize("address", ["rules/not-an-id", f"rules/{NOBODY}", f"runs/{NOBODY}"])
def test_what_is_not_there_is_not_found(client_for, owner, address):
    assert client_for(owner).get(f"/api/automation/{address}").status_code == 404


def test_lists_take_the_same_queries_whatever_their_length(
    client_for, owner, workspace, rule, notes, django_assert_max_num_queries
):
    api = client_for(owner)
    for number in range(12):
        create_rule(workspace, actor=owner, name=f"R{number}", action_json=LIBRARIAN)
        api.post(f"/api/automation/rules/{rule.id}/launch", {})
    for address in ("/api/automation/rules", "/api/automation/runs"):
        with django_assert_max_num_queries(5):
            assert len(api.get(address, {"workspace_id": str(workspace.id)}).json()["results"]) >= 12
