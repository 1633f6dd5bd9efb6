"""Deciding many at once, and undoing, over HTTP."""

import pytest

from kjxlkj.notes.cause import by
from kjxlkj.notes.services import update_note
from kjxlkj.workspaces.services import create_workspace
from librarian.models import Operation
from tests.librarian.conftest import op

pytestmark = pytest.mark.django_db

NOBODY = "0193a1f0-0000-7000-8000-000000000000"
BATCHES = "/api/review-batches"


@pytest.fixture
def operations(propose, notes):
    return propose(*(op("retag_note", note, tags=(*note.tags, "billing")) for note in notes.values()))


def body(operations, decision="apply", **fields):
    return {"operation_ids": [str(each.id) for each in operations], "decision": decision, **fields}


def statuses():
    return list(Operation.objects.order_by("index").values_list("status", flat=True))


def test_many_are_decided_and_undone(client_for, editor, operations, notes):
    client = client_for(editor)
    update_note(notes["beta"], base_version=1, cause=by(editor), tags=["mine"])
    answer = client.post(BATCHES, body(operations))
    assert answer.status_code == 201, answer.json()
    said = answer.json()
    assert [each["status"] for each in said["results"]] == ["applied", "pending", "applied"]
    assert [each["code"] for each in said["batch"]["refusals"]] == ["VERSION_CONFLICT"]
    batch_id = said["batch"]["id"]
    assert client.get(f"{BATCHES}/{batch_id}").json() == said["batch"]
    assert [each["id"] for each in client.get(BATCHES).json()["results"]] == [batch_id]
    of_batch = client.get(f"/api/operations?batch_id={batch_id}").json()["results"]
    assert {(each["via"], each["change_key"]) for each in of_batch} == {("api", "+billing")}
    undone = client.post(f"{BATCHES}/{batch_id}/undo").json()
    assert (undone["reverted_operations"], undone["reopened_operations"]) == (2, 0)
    assert statuses() == ["reverted", "pending", "reverted"]


def test_many_are_rejected_and_wait_again(client_for, editor, operations):
    client = client_for(editor)
    batch_id = client.post(BATCHES, body(operations, "reject", reject_reason="no")).json()["batch"]["id"]
    undone = client.post(f"{BATCHES}/{batch_id}/undo").json()
    assert (undone["reverted_operations"], undone["reopened_operations"]) == (0, 3)
    assert client.post(f"{BATCHES}/{batch_id}/undo").json()["results"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"operation_ids": []},
        {"operation_ids": ["x"]},
        {"operation_ids": [NOBODY, NOBODY]},
        {"operation_ids": [NOBODY] * 501},
        {"decision": "perhaps"},
        {"reject_reason": "x" * 2001},
        {"colour": 1},
    ],
)
def test_a_malformed_request_does_nothing_at_all(client_for, editor, operations, fields):
    answer = client_for(editor).post(BATCHES, body(operations) | fields)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert statuses() == ["pending"] * 3


def test_one_unknown_operation_stops_the_whole_request(client_for, editor, operations):
    asked = body(operations)
    asked["operation_ids"].append(NOBODY)
    answer = client_for(editor).post(BATCHES, asked)
    assert (answer.status_code, answer.json()["code"]) == (404, "OPERATION_NOT_FOUND")
    assert statuses() == ["pending"] * 3


def test_deciding_takes_an_editor_and_strangers_see_nothing(client_for, editor, viewer, outsider, operations):
    refused = client_for(viewer).post(BATCHES, body(operations))
    assert (refused.status_code, refused.json()["code"]) == (403, "ROLE_FORBIDDEN")
    assert client_for(outsider).post(BATCHES, body(operations)).status_code == 404
    batch_id = client_for(editor).post(BATCHES, body(operations)).json()["batch"]["id"]
    assert client_for(viewer).get(f"{BATCHES}/{batch_id}").status_code == 200
    assert client_for(viewer).post(f"{BATCHES}/{batch_id}/undo").status_code == 403
    for answer in (
        client_for(outsider).get(f"{BATCHES}/{batch_id}"),
        client_for(outsider).post(f"{BATCHES}/{batch_id}/undo"),
        client_for(editor).get(f"{BATCHES}/nonsense"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "BATCH_NOT_FOUND")
    assert client_for(outsider).get(BATCHES).json()["results"] == []
    assert statuses() == ["applied"] * 3


def test_of_what_was_refused_only_that_of_ones_own_workspaces_is_told(client_for, editor, owner, viewer, operations):
    other = create_workspace(slug="other", name="Other", owner=owner)
    update_note(operations[1].target_note, base_version=1, cause=by(owner), tags=["mine"])
    batch_id = client_for(editor).post(BATCHES, body(operations)).json()["batch"]["id"]
    Operation.objects.filter(pk=operations[1].pk).update(workspace=other)
    for address in (BATCHES, f"{BATCHES}/{batch_id}"):
        assert str(operations[1].pk) not in client_for(viewer).get(address).content.decode()
    assert str(operations[1].pk) in client_for(owner).get(BATCHES).content.decode()


def test_one_operation_is_undone(client_for, editor, viewer, outsider, operations, notes):
    address = f"/api/operations/{operations[0].id}/undo"
    client = client_for(editor)
    early = client.post(address)
    assert (early.status_code, early.json()["code"]) == (409, "NOT_APPLIED")
    client.post(BATCHES, body(operations))
    assert client_for(viewer).post(address).status_code == 403
    assert client_for(outsider).post(address).status_code == 404
    assert client.post(address, {"colour": 1}).status_code == 400
    assert client.post(address).json()["status"] == "reverted"
    update_note(notes["beta"], base_version=2, cause=by(editor), tags=["mine"])
    late = client.post(f"/api/operations/{operations[1].id}/undo")
    assert (late.status_code, late.json()["code"]) == (409, "CHANGED_SINCE")


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_takes_the_same_statements_for_more(
    number, client_for, editor, operations, django_assert_max_num_queries
):
    client = client_for(editor)
    for operation in operations[:number]:
        client.post(BATCHES, body([operation]))
    with django_assert_max_num_queries(6):
        assert len(client.get(BATCHES).json()["results"]) == number
