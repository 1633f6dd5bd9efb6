"""Operations and their review over HTTP."""

import pytest

from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import update_note
from tests.librarian.conftest import op

pytestmark = pytest.mark.django_db

NOBODY = "0193a1f0-0000-7000-8000-000000000000"


@pytest.fixture
def operations(propose, notes):
    return propose(
        op("retitle_note", notes["beta"], title="B"),
        op("retag_note", notes["alpha"], tags=("x",)),
        op("relink_note", notes["alpha"], links=[("Beta", "Beta")]),
    )


def decide(operation, decision="apply", **fields):
    return {"operation_id": str(operation.id), "decision": decision, **fields}


def test_a_review_answers_for_each_decision(client_for, editor, run, operations, notes, owner):
    update_note(notes["beta"], base_version=1, cause=by(owner), title="Moved")
    body = {
        "decisions": [
            decide(operations[0]),
            decide(operations[1], "accept", edits={"tags": ["y"]}),
            decide(operations[2], "reject", reject_reason="no"),
        ]
    }
    answer = client_for(editor).post(f"/api/automation/runs/{run.id}/review", body)
    assert answer.status_code == 200, answer.json()
    said = answer.json()
    assert said["run"]["id"] == str(run.id)
    assert (said["applied_operations"], said["rejected_operations"]) == (1, 1)
    conflict, applied, rejected = said["results"]
    assert (conflict["status"], conflict["code"], conflict["note_version"]) == ("pending", "VERSION_CONFLICT", 2)
    assert applied == {"operation_id": str(operations[1].id), "status": "applied", "note_version": 2}
    assert rejected == {"operation_id": str(operations[2].id), "status": "rejected"}
    assert Note.objects.get(pk=notes["alpha"].pk).tags == ["y"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"decisions": []},
        {"decisions": [{"operation_id": "x", "decision": "apply"}]},
        {"decisions": [{"operation_id": NOBODY, "decision": "perhaps"}]},
        {"decisions": "all"},
        {"decisions": [{"operation_id": NOBODY, "decision": "apply", "colour": 1}]},
    ],
)
def test_a_malformed_review_does_nothing_at_all(client_for, editor, run, operations, body):
    answer = client_for(editor).post(f"/api/automation/runs/{run.id}/review", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


def test_one_unknown_operation_stops_the_whole_request(client_for, editor, run, operations):
    body = {"decisions": [decide(operations[0]), {"operation_id": NOBODY, "decision": "apply"}]}
    answer = client_for(editor).post(f"/api/automation/runs/{run.id}/review", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "OPERATION_NOT_FOUND")
    assert client_for(editor).get(f"/api/operations/{operations[0].id}").json()["status"] == "pending"
    twice = {"decisions": [decide(operations[0]), decide(operations[0], "reject")]}
    assert client_for(editor).post(f"/api/automation/runs/{run.id}/review", twice).status_code == 400


def test_reviewing_takes_an_editor_and_strangers_see_nothing(client_for, viewer, outsider, run, operations):
    body = {"decisions": [decide(operations[0])]}
    refused = client_for(viewer).post(f"/api/automation/runs/{run.id}/review", body)
    assert (refused.status_code, refused.json()["code"]) == (403, "ROLE_FORBIDDEN")
    unknown = client_for(outsider).post(f"/api/automation/runs/{run.id}/review", body)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "RUN_NOT_FOUND")
    assert client_for(outsider).get("/api/operations").json()["results"] == []
    assert client_for(outsider).get(f"/api/operations/{operations[0].id}").status_code == 404


def test_the_queue_is_filtered_and_paged_in_order(client_for, viewer, workspace, run, operations):
    api = client_for(viewer)
    asked = {"workspace_id": str(workspace.id), "status": "pending", "limit": 2}
    first = api.get("/api/operations", asked).json()
    second = api.get(first["next"]).json()
    ids = [row["id"] for row in first["results"] + second["results"]]
    assert ids == [str(operation.id) for operation in operations]
    assert second["next"] is None
    retags = api.get("/api/operations", {"kind": "retag_note", "run_id": str(run.id)}).json()["results"]
    assert [row["tags"] for row in retags] == [["x"]]
    assert api.get("/api/operations", {"min_confidence": "2"}).status_code == 400
    assert api.get("/api/operations", {"colour": "red"}).status_code == 400
    of_run = api.get(f"/api/automation/runs/{run.id}/operations").json()["results"]
    assert [row["index"] for row in of_run] == [0, 1, 2]


def test_a_run_is_undone(client_for, editor, run, operations, notes):
    api = client_for(editor)
    api.post(f"/api/automation/runs/{run.id}/review", {"decisions": [decide(row) for row in operations]})
    answer = api.post(f"/api/automation/runs/{run.id}/undo", {})
    assert answer.status_code == 200
    assert answer.json()["reverted_operations"] == 3
    alpha = Note.objects.get(pk=notes["alpha"].pk)
    assert (alpha.tags, alpha.body) == (["one"], notes["alpha"].body)


def test_lists_take_the_same_queries_whatever_their_length(
    client_for, viewer, propose, notes, django_assert_max_num_queries
):
    propose(*[op("create_note", target_path=f"n{i}.md", title="T", body_markdown="x") for i in range(40)])
    api = client_for(viewer)
    with django_assert_max_num_queries(5):
        assert len(api.get("/api/operations", {"limit": 100}).json()["results"]) == 40


def test_an_operation_tells_its_model_and_what_to_look_at_twice(client_for, viewer, propose, notes):
    (operation,) = propose(op("rewrite_note", notes["alpha"], body_markdown="Gone.\n"))
    said = client_for(viewer).get(f"/api/operations/{operation.id}").json()
    assert (said["model"], said["exchange_id"], said["auto_apply"]) == ("", None, False)
    assert said["warnings"] == operation.warnings != []
