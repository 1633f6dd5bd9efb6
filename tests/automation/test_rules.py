"""Rules: what is refused, and that all of it is told at once."""

import pytest

from automation.models import Rule
from automation.services import create_rule, delete_rule, update_rule
from automation.validation import RuleInvalid
from kjxlkj.errors import Conflict, Forbidden, NotFound
from kjxlkj.workspaces.models import WorkspaceEvent

pytestmark = pytest.mark.django_db

LIBRARIAN = {"kind": "librarian_structure"}


def faults_of(workspace, owner, **values):
    with pytest.raises(RuleInvalid) as raised:
        create_rule(workspace, actor=owner, **{"name": "R", "action_json": LIBRARIAN, **values})
    assert raised.value.code == "RULE_INVALID"
    return {fault["path"]: fault["message"] for fault in raised.value.details["faults"]}


def test_a_rule_is_saved_and_told_of(workspace, admin):
    rule = create_rule(workspace, actor=admin, name=" Tidy ", action_json=LIBRARIAN, condition_json={"folder": "inbox"})
    assert Rule.objects.get(pk=rule.pk).name == "Tidy"
    event = WorkspaceEvent.objects.filter(workspace=workspace).latest("seq")
    assert (event.type, event.actor, event.payload["rule_id"]) == ("rule.created", admin, str(rule.id))


def test_every_fault_is_told_at_once_with_its_path(workspace, owner):
    faults = faults_of(
        workspace,
        owner,
        name="",
        trigger="noon",
        condition_json={"all": [{"tagg": "x"}, {"not": {"min_length": -1}}]},
        action_json={"kind": "librarian_structure", "plan": {"goal": 3, "review": "never"}, "api_key": "s"},
        settle_seconds=-1,
    )
    assert set(faults) == {
        "name",
        "trigger",
        "condition_json.all[0].tagg",
        "condition_json.all[1].not.min_length",
        "action_json.plan.goal",
        "action_json.plan.review",
        "action_json.api_key",
        "settle_seconds",
    }
    assert "environment" in faults["action_json.api_key"]


@pytest.mark.parametrize("action", [None, [], {}, {"kind": "rm_rf"}, {"kind": ["librarian_structure"]}])
def test_an_unknown_action_is_refused(workspace, owner, action):
    assert any(path.startswith("action_json") for path in faults_of(workspace, owner, action_json=action))


def test_conditions_are_bounded(workspace, owner):
    deep = {"folder": "a"}
    for _ in range(8):
        deep = {"not": deep}
    assert "nested deeper" in str(faults_of(workspace, owner, condition_json=deep))
    wide = {"any": [{"tag": f"t{i}"} for i in range(101)]}
    assert "nodes" in str(faults_of(workspace, owner, condition_json=wide))
    assert "KiB" in str(faults_of(workspace, owner, condition_json={"tag_any": ["x" * 400] * 200}))


def test_a_name_is_used_once_in_a_workspace_until_its_rule_is_deleted(workspace, owner):
    rule = create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN)
    with pytest.raises(Conflict, match="another name"):
        create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN)
    delete_rule(rule, actor=owner)
    assert create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN).name == "R"


def test_a_refused_change_leaves_the_rule_as_it_was(workspace, owner):
    rule = create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN)
    with pytest.raises(RuleInvalid):
        update_rule(rule, actor=owner, name="S", trigger="noon")
    assert Rule.objects.get(pk=rule.pk).name == "R"


def test_rules_take_an_admin(workspace, editor, outsider):
    with pytest.raises(Forbidden):
        create_rule(workspace, actor=editor, name="R", action_json=LIBRARIAN)
    with pytest.raises(NotFound):
        create_rule(workspace, actor=outsider, name="R", action_json=LIBRARIAN)


def test_what_others_changed_meanwhile_is_not_overwritten(workspace, owner, admin):
    rule = create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN)
    read_at = Rule.objects.get(pk=rule.pk).updated_at
    update_rule(rule, actor=admin, enabled=False, name="Stopped", base_updated_at=read_at)
    with pytest.raises(Conflict) as error:
        update_rule(rule, actor=owner, name="R", enabled=True, base_updated_at=read_at)
    assert error.value.code == "RULE_CHANGED"
    rule.refresh_from_db()
    assert (rule.name, rule.enabled) == ("Stopped", False)
    update_rule(rule, actor=owner, enabled=True, base_updated_at=rule.updated_at)


def test_a_rule_that_has_become_invalid_can_be_stopped_and_not_started(workspace, owner):
    rule = create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN)
    Rule.objects.filter(pk=rule.pk).update(action_json={"kind": "of_an_app_that_is_gone"}, condition_json={"gone": 1})
    update_rule(rule, actor=owner, enabled=False)
    with pytest.raises(RuleInvalid):
        update_rule(rule, actor=owner, enabled=True)
    rule.refresh_from_db()
    assert not rule.enabled


def test_the_api_refuses_changes_to_what_a_rule_was(client, workspace, owner):
    rule = create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN)
    client.force_login(owner)
    address = f"/api/automation/rules/{rule.id}"
    read = client.get(address).json()["updated_at"]
    change = {"enabled": False, "base_updated_at": read}
    assert client.patch(address, change, "application/json").status_code == 200
    answer = client.patch(address, {**change, "enabled": True}, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (409, "RULE_CHANGED")
    assert client.patch(address, {"enabled": True}, "application/json").status_code == 200


def test_what_is_null_is_a_fault_among_the_others(client, workspace, owner):
    client.force_login(owner)
    rule = {"name": None, "trigger": "noon", "condition_json": {"tog": 1}, "action_json": None, "enabled": None}
    answer = client.post("/api/automation/rules", {"workspace_id": str(workspace.id), **rule}, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (422, "RULE_INVALID")
    paths = [fault["path"] for fault in answer.json()["details"]["faults"]]
    assert paths == ["name", "trigger", "condition_json.tog", "action_json", "enabled"]


def test_a_whole_rule_can_be_previewed_before_it_is_saved(client, workspace, owner):
    client.force_login(owner)
    rule = {"name": "R", "trigger": "schedule", "schedule": "0 3 * *", "enabled": True, "settle_seconds": 5}
    body = {"workspace_id": str(workspace.id), **rule, "action_json": LIBRARIAN, "on_automation": True}
    answer = client.post("/api/automation/rules/preview", body, "application/json")
    assert [fault["path"] for fault in answer.json()["details"]["faults"]] == ["schedule"]
    body["schedule"] = "0 3 * * *"
    assert client.post("/api/automation/rules/preview", body, "application/json").status_code == 200


def test_a_tag_that_no_note_can_have_is_refused(workspace, owner):
    for word, value in (("tag", "x" * 65), ("tag_any", ["x" * 80]), ("tag_all", ["x", "y" * 65])):
        assert any(
            path.startswith(f"condition_json.{word}")
            for path in faults_of(workspace, owner, condition_json={word: value})
        )
