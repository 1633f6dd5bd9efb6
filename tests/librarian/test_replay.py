"""Runs made anew from what is stored of them."""

import json

import pytest
from django.core.management import CommandError, call_command

from librarian import questions
from librarian.models import Exchange, Operation
from librarian.replay import replay
from tests.librarian.models import done, launch, retag
from tests.librarian.providers.server import LLMServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(workspace, owner, boats, server):
    run = done(launch(workspace, owner, server))
    assert run.status == "succeeded"
    return run


def printed(capsys, run, *options):
    call_command("replay_run", str(run.pk), *options)
    return capsys.readouterr().out


def test_a_replay_is_byte_identical_and_calls_nobody(run, server, capsys):
    asked = len(server.requests)
    assert "Byte-identical: 6 operations" in printed(capsys, run)
    assert len(server.requests) == asked
    assert json.loads(printed(capsys, run, "--json"))["identical"] is True


def test_what_people_did_since_changes_nothing_of_it(run, owner):
    from librarian.services import Decision, review

    first, second, *_ = Operation.objects.order_by("index")
    review([Decision(first.pk, "apply", edits={"tags": ["else"]}), Decision(second.pk, "reject", "no")], actor=owner)
    assert replay(run).is_identical
    assert replay(run).differences == []


def test_after_a_change_of_the_parser_it_shows_what_would_differ(run, monkeypatch, capsys):
    parse = questions.parse_response

    def louder(text, **options):
        return parse(text.replace("It is about a boat.", "It is about a ship."), **options)

    monkeypatch.setattr(questions, "parse_response", louder)
    with pytest.raises(CommandError, match="differs"):
        call_command("replay_run", str(run.pk))
    out = capsys.readouterr().out
    assert '-  "reason": "It is about a boat."' in out
    assert '+  "reason": "It is about a ship."' in out


def test_an_answer_that_was_tampered_with_is_noticed(run):
    exchange = Exchange.objects.order_by("index").first()
    exchange.response = exchange.response.replace("boat", "coat", 1)
    exchange.save()
    assert not replay(run).is_identical


def test_a_repaired_answer_is_the_one_that_counts(workspace, owner, boats, capsys):
    with LLMServer() as sorry:
        sorry.say("Sorry!")

        def mend(body):
            text = body["messages"][-1]["content"]
            request_id = text.split("request_id: ")[1].split()[0]
            return (
                f"<librarian_response><request_id>{request_id}</request_id><status>ok</status><summary>s</summary>"
                "<operations></operations></librarian_response>"
            )

        sorry.answer = lambda body: retag(body) if "<source_id>" in body["messages"][-1]["content"] else mend(body)
        run = done(launch(workspace, owner, sorry, limits={"sources_per_request": 3}))
    assert (run.status, run.error_detail) == ("succeeded", "")
    assert "Byte-identical: 3 operations" in printed(capsys, run)


@pytest.mark.parametrize(("given", "told"), [("x", "is not a run's id"), ("0" * 32, "there is no run")])
def test_a_run_that_is_none_is_refused_in_words(db, given, told):
    with pytest.raises(CommandError, match=told):
        call_command("replay_run", given)
