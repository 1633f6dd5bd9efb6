"""Previews and the vocabulary over HTTP: success, stranger, every member, bad input."""

import jsonschema
import pytest
from rest_framework.test import APIClient

from automation import actions
from automation.services import create_rule
from automation.triggers import TRIGGERS
from kjxlkj.notes.cause import by
from kjxlkj.notes.filters import VOCABULARY
from kjxlkj.notes.services import NewNote, create_notes
from kjxlkj.workspaces.models import WorkspaceEvent

pytestmark = pytest.mark.django_db

NOBODY = "0193a1f0-0000-7000-8000-000000000000"
LIBRARIAN = {"kind": "librarian_structure"}
UNSAVED = "/api/automation/rules/preview"


@pytest.fixture
def rule(workspace, owner):
    values = {"trigger": "note.created", "condition_json": {"title_contains": "1"}, "action_json": LIBRARIAN}
    return create_rule(workspace, actor=owner, name="Tidy", **values)


@pytest.fixture
def saved(rule):
    return f"/api/automation/rules/{rule.id}/preview"


@pytest.fixture
def notes(workspace, owner):
    return create_notes(workspace, [NewNote(f"N{i}", path=f"n{i}.md") for i in range(3)], cause=by(owner))


def test_a_saved_rule_is_previewed(client_for, viewer, notes, saved):
    answer = client_for(viewer).post(saved, {})
    assert answer.status_code == 200
    assert answer.json() == {
        "matching": 1,
        "notes": [{"id": str(notes[1].id), "path": "n1.md", "title": "N1"}],
        "runs": 1,
        "does": "Have the librarian propose changes.",
        "note": None,
        "decision": None,
        "verdicts": [],
    }


def test_a_note_and_a_past_event_are_judged(client_for, viewer, notes, saved):
    """The rule was made after them, so it has counted neither."""
    api = client_for(viewer)
    judged = api.post(saved, {"note_id": str(notes[0].id)}).json()
    assert judged["note"]["title"] == "N0"
    assert judged["decision"] == {
        "fires": False,
        "reasons": ["The condition does not hold for the note as it is now."],
    }
    assert judged["verdicts"] == [
        {
            "path": "condition_json.title_contains",
            "depth": 0,
            "label": "title contains: “1”",
            "holds": False,
            "value": "“N0”",
        }
    ]
    event = WorkspaceEvent.objects.get(note_id=notes[1].id)
    assert api.post(saved, {"event_id": str(event.id)}).json()["decision"] == {"fires": True, "reasons": []}


def test_an_unsaved_rule_is_previewed_whole_or_in_part(client_for, viewer, workspace, notes):
    api = client_for(viewer)
    body = {"workspace_id": str(workspace.id), "trigger": "manual", "condition_json": {}, "action_json": LIBRARIAN}
    whole = api.post(UNSAVED, {**body, "max_sources": 2, "note_id": str(notes[0].id)}).json()
    assert (whole["matching"], whole["runs"], whole["decision"]["fires"]) == (3, 2, True)
    part = api.post(UNSAVED, {"workspace_id": str(workspace.id)}).json()
    assert (part["matching"], part["runs"], part["does"]) == (3, 0, "")


def test_every_fault_of_an_unsaved_rule_is_told(client_for, viewer, workspace):
    body = {
        "workspace_id": str(workspace.id),
        "trigger": 5,
        "condition_json": [],
        "action_json": {"kind": "x"},
        "max_sources": "many",
    }
    answer = client_for(viewer).post(UNSAVED, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "RULE_INVALID")
    paths = [fault["path"] for fault in answer.json()["details"]["faults"]]
    assert paths == ["trigger", "condition_json", "action_json.kind", "max_sources"]


@pytest.mark.parametrize(
    ("about", "status", "code"),
    [
        ({"note_id": NOBODY}, 404, "NOTE_NOT_FOUND"),
        ({"event_id": NOBODY}, 404, "EVENT_NOT_FOUND"),
        ({"note_id": NOBODY, "event_id": NOBODY}, 422, "INVALID_FIELD"),
        ({"note_id": "x"}, 400, "BAD_REQUEST"),
        ({"note": NOBODY}, 400, "BAD_REQUEST"),
    ],
)
def test_what_cannot_be_previewed_is_refused(client_for, viewer, workspace, saved, about, status, code):
    api = client_for(viewer)
    for address, body in ((saved, about), (UNSAVED, {"workspace_id": str(workspace.id), **about})):
        answer = api.post(address, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), address


def test_a_stranger_learns_nothing(client_for, outsider, workspace, notes, saved):
    api = client_for(outsider)
    assert api.post(saved, {}).json()["code"] == "RULE_NOT_FOUND"
    assert api.post(UNSAVED, {"workspace_id": str(workspace.id)}).json()["code"] == "WORKSPACE_NOT_FOUND"
    elsewhere = str(outsider.memberships.get().workspace_id)
    answer = api.post(UNSAVED, {"workspace_id": elsewhere, "note_id": str(notes[0].id)})
    assert (answer.status_code, answer.json()["code"]) == (404, "NOTE_NOT_FOUND")


def test_a_note_of_another_workspace_is_not_there(client_for, owner, outsider, saved):
    (note,) = create_notes(outsider.memberships.get().workspace, [NewNote("Theirs")], cause=by(outsider))
    event = WorkspaceEvent.objects.get(note_id=note.id)
    api = client_for(owner)
    assert api.post(saved, {"note_id": str(note.id)}).status_code == 404
    assert api.post(saved, {"event_id": str(event.id)}).status_code == 404


def test_editors_get_the_vocabulary(client_for, outsider):
    answer = client_for(outsider).get("/api/automation/vocabulary")
    assert answer.status_code == 200
    told = answer.json()
    assert [word["name"] for word in told["conditions"]] == list(VOCABULARY)
    kind = next(word for word in told["conditions"] if word["name"] == "kind")
    assert (kind["label"], kind["input"], kind["choices"][0]) == ("is of kind", "choice", "markdown")
    assert told["triggers"] == list(TRIGGERS)
    assert {action["kind"]: action["label"] for action in told["actions"]} == {
        action.kind: action.label for action in actions.actions()
    }
    validator = jsonschema.Draft202012Validator(told["condition_schema"])
    assert validator.is_valid({"not": {"any": [{"tag": "a"}]}})
    assert not validator.is_valid({"not": {"any": [{"tog": "a"}]}})


def test_the_vocabulary_takes_no_parameters_and_strangers_to_the_instance_log_in(client_for, viewer):
    assert client_for(viewer).get("/api/automation/vocabulary", {"tag": "a"}).status_code == 400
    answer = APIClient().get("/api/automation/vocabulary")
    assert (answer.status_code, answer.json()["code"]) == (401, "AUTH_REQUIRED")
