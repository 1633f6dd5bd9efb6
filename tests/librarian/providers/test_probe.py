"""What is said of a provider, at the console and beside a rule's form."""

import json

import pytest
from django.core.management import CommandError, call_command

from automation.services import create_rule
from librarian.providers.probe import probe
from tests.librarian.providers.conftest import chat
from tests.librarian.providers.server import LLMServer, completion, error, json_reply

URL = "/admin/librarian/probe/"
KIND = "openai_compatible"


def told(findings):
    return "\n".join(f"{'ok' if each.ok else 'NO'} {each.message}" for each in findings)


def test_the_offline_librarian_needs_nothing():
    assert told(probe("offline", "", "")).startswith("ok The offline librarian needs nothing")


def test_a_good_server_is_said_to_be_good_and_asked_only_on_request(server):
    findings = probe(KIND, server.base_url, "test-model")
    assert all(finding.ok for finding in findings)
    assert "is allowed" in told(findings) and "has 1 model." in told(findings) and "is among them" in told(findings)
    assert not server.requests
    assert "“test-model” answered in" in told(probe(KIND, server.base_url, "test-model", ask=True))
    assert server.requests[0].body["max_tokens"] == 1


def test_a_model_that_spends_its_one_token_on_reasoning_has_answered(server):
    server.say(completion(None, finish_reason="length"))
    assert "answered in" in told(probe(KIND, server.base_url, "test-model", ask=True))


def test_a_model_that_is_not_there_brings_up_the_nearest_names(server):
    server.models = ["qwen3-8b-instruct", "llama-3.1-70b", "test"]
    assert "NO “qwen3-8b” is not among them. Did you mean “qwen3-8b-instruct”" in told(
        probe(KIND, server.base_url, "qwen3-8b")
    )


def test_a_server_that_is_down_and_an_address_that_is_not_allowed_are_told_apart():
    with LLMServer() as stopped:
        pass
    assert "nothing listens there" in told(probe(KIND, stopped.base_url, "m"))
    assert "KJXLKJ_LLM_ALLOW" in told(probe(KIND, "https://evil.example/v1", "m"))


def test_the_key_of_openrouter_is_tried_out(server, monkeypatch):
    assert "NO There is no key. Set OPENROUTER_API_KEY" in told(probe("openrouter", server.base_url, ""))
    monkeypatch.setenv("KJXLKJ_LLM_KEYS", f"{server.host}=sk-1")
    server.pages["/v1/key"] = error(401, "no such key")
    assert "NO 127.0.0.1" in told(probe("openrouter", server.base_url, ""))
    server.pages["/v1/key"] = json_reply({"data": {"label": "x"}})
    assert "ok The key is accepted." in told(probe("openrouter", server.base_url, ""))


def test_a_chat_can_be_entered_and_left_without_a_word(server):
    with chat(server.base_url):
        pass
    assert not server.requests


# --- The doctor -------------------------------------------------------------------------------------


def test_the_doctor_looks_at_an_address(server, capsys):
    call_command("doctor", provider=server.base_url, model="test-model", ask=True)
    assert "answered in" in capsys.readouterr().out
    with pytest.raises(CommandError, match="Not well: provider"):
        call_command("doctor", provider=server.base_url, model="other")


def test_the_doctor_looks_at_a_kind(capsys):
    call_command("doctor", provider="offline")
    assert "needs nothing" in capsys.readouterr().out


def test_the_doctor_looks_at_a_rule(server, workspace, owner, capsys):
    provider = {"provider_kind": KIND, "base_url": server.base_url, "model": "test-model"}
    action = {"kind": "librarian_structure", "provider": provider}
    rule = create_rule(workspace, actor=owner, name="R", action_json=action)
    call_command("doctor", provider=str(rule.pk))
    assert "“test-model” is among them" in capsys.readouterr().out
    action["provider"] = {**provider, "max_tokens_field": "max_completion_tokens"}
    gateway = create_rule(workspace, actor=owner, name="G", action_json=action)
    call_command("doctor", provider=str(gateway.pk), ask=True)
    assert "answered in" in capsys.readouterr().out
    assert "max_tokens" not in server.requests[0].body and server.requests[0].body["max_completion_tokens"] == 1
    with pytest.raises(CommandError):
        call_command("doctor", provider=str(workspace.pk))
    assert "There is no rule" in capsys.readouterr().out


# --- The button -------------------------------------------------------------------------------------


def post(client, user, provider, kind="librarian_structure"):
    client.force_login(user)
    return client.post(URL, {"action_json": json.dumps({"kind": kind, "provider": provider})})


def test_who_manages_rules_is_told_what_is_found(client, admin, server):
    answer = post(client, admin, {"provider_kind": KIND, "base_url": server.base_url, "model": "test-model"})
    assert answer.status_code == 200
    assert "is among them" in answer.content.decode()
    assert not server.requests


def test_whoever_manages_no_rules_has_nothing_sent(client, editor, server):
    answer = post(client, editor, {"provider_kind": KIND, "base_url": server.base_url, "model": "m"})
    assert answer.status_code == 403
    assert not server.others


def test_an_address_that_is_not_allowed_is_told_and_not_asked(client, admin):
    answer = post(client, admin, {"provider_kind": KIND, "base_url": "http://169.254.169.254/v1", "model": "m"})
    assert "KJXLKJ_LLM_ALLOW" in answer.content.decode()


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"kind": "webhook"}', "[" * 100_000], ids=range(5))
def test_what_is_no_action_of_the_librarian_is_said_to_be_none(client, admin, text):
    client.force_login(admin)
    assert "no action of the librarian" in client.post(URL, {"action_json": text}).content.decode()


def test_faults_of_form_are_told_first(client, admin):
    assert "provider.model: expected a text" in post(client, admin, {"model": 5}).content.decode()
    assert client.get(URL).status_code == 405


def test_the_form_of_a_rule_has_the_button_for_those_who_may_change_it(client, workspace, owner, editor):
    rule = create_rule(workspace, actor=owner, name="R", action_json={"kind": "librarian_structure"})
    for user, shown in ((owner, True), (editor, False)):
        client.force_login(user)
        page = client.get(f"/admin/automation/rule/{rule.pk}/change/").content.decode()
        assert ("Test the provider" in page) == shown
