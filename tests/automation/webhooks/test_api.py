"""Webhooks over HTTP: rules with them, and the secret of their signature."""

import pytest

from automation.services import create_rule
from automation.webhooks.signing import secret_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def rule(make_rule):
    return make_rule("https://example.com/hook")


def address(rule):
    return f"/api/automation/rules/{rule.pk}/webhook-secret"


@pytest.mark.parametrize("who", ["owner", "admin", "superuser"])
def test_who_manages_rules_is_shown_the_secret(client_for, request, rule, who):
    answer = client_for(request.getfixturevalue(who)).get(address(rule))
    assert answer.status_code == 200
    assert answer.json() == {"secret": secret_of(rule.pk)}
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("who", ["editor", "viewer"])
def test_other_members_are_not(client_for, request, rule, who):
    answer = client_for(request.getfixturevalue(who)).get(address(rule))
    assert (answer.status_code, answer.json()["code"]) == (403, "ROLE_FORBIDDEN")


def test_to_a_stranger_there_is_no_such_rule(client_for, outsider, rule):
    answer = client_for(outsider).get(address(rule))
    assert (answer.status_code, answer.json()["code"]) == (404, "RULE_NOT_FOUND")


def test_nobody_is_shown_it_without_logging_in(client, rule):
    assert client.get(address(rule)).status_code == 401


def test_bad_requests_are_refused(client_for, owner, rule):
    api = client_for(owner)
    assert api.get(address(rule), {"verbose": 1}).status_code == 400
    assert api.post(address(rule), {}).status_code == 405


def test_a_rule_without_a_webhook_has_none(client_for, owner, workspace):
    rule = create_rule(workspace, actor=owner, name="R", action_json={"kind": "export_markdown"})
    answer = client_for(owner).get(address(rule))
    assert (answer.status_code, answer.json()["code"]) == (404, "WEBHOOK_NOT_FOUND")


def test_a_rule_with_a_webhook_is_made_and_its_faults_are_told(client_for, owner, workspace):
    api = client_for(owner)
    body = {"workspace_id": str(workspace.id), "name": "R", "action_json": {"kind": "webhook", "url": "ftp://x"}}
    refused = api.post("/api/automation/rules", body)
    assert (refused.status_code, refused.json()["code"]) == (422, "RULE_INVALID")
    assert [fault["path"] for fault in refused.json()["details"]["faults"]] == ["action_json.url"]
    body["action_json"]["url"] = "https://example.com/hook"
    assert api.post("/api/automation/rules", body).status_code == 201
