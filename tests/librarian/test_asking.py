"""Runs that ask a language model: over real HTTP, from a server that answers as these tests say."""

import json
import logging
import re
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from automation.models import DailyUse, Run
from kjxlkj.jobs.services import execute
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import NewNote, create_notes, delete_note, update_note
from librarian.models import Disclosure, Exchange, Operation, RunReport
from librarian.protocol import ProposedOperation
from librarian.replay import replay
from tests.librarian.conftest import BOATS
from tests.librarian.models import done, launch, prompt_of, response, retag, sent_to, tagging
from tests.librarian.providers.server import LLMServer, completion, error

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_data_dir")]


# --- Well -------------------------------------------------------------------------------------------


def test_each_note_is_sent_once_and_what_is_answered_waits_for_review(workspace, owner, boats, server):
    run = done(launch(workspace, owner, server))
    assert (run.status, run.error_detail) == ("succeeded", "")
    assert len(server.requests) == 3
    operations = list(Operation.objects.select_related("target_note", "exchange"))
    assert {operation.target_note.title for operation in operations} == set(BOATS)
    assert {(operation.status, operation.model) for operation in operations} == {("pending", "test-model")}
    assert all(operation.exchange.response for operation in operations)
    report = RunReport.objects.get(run=run)
    assert (report.requests, report.provider_kind, report.parsed_count) == (3, "openai_compatible", 6)
    assert report.prompt_pack_version.startswith("built-in")
    assert len(report.prompt_hash) == len(report.operations_sha256) == 64
    assert not Note.objects.filter(version__gt=1).exists()


def test_a_rule_says_under_which_name_the_bound_of_an_answer_is_sent(workspace, owner, boats, server):
    done(launch(workspace, owner, server, provider={"max_tokens_field": "max_completion_tokens", "max_tokens": 900}))
    assert {(seen.body.get("max_tokens"), seen.body["max_completion_tokens"]) for seen in server.requests} == {
        (None, 900)
    }


def test_the_ledger_tells_which_note_went_where_in_which_version(workspace, owner, boats, server):
    run = done(launch(workspace, owner, server))
    texts = Disclosure.objects.filter(part="text")
    assert set(texts.values_list("note_id", "note_version", "host", "run_id")) == {
        (note.id, 1, server.base_url.split("/")[2], run.id) for note in boats.values()
    }
    assert texts.values("sha256").distinct().count() == len(BOATS)


def test_a_run_tells_why_what_its_rule_would_apply_by_itself_waits(workspace, owner, boats, server):
    run = done(launch(workspace, owner, server, review="auto", auto_apply={"retag_note": 0.8}))
    (sentence,) = run.result_json["auto_apply"]
    assert sentence == "Retag at 90–100 % by test-model: 0 of 30 decisions; people review them until then."
    assert not Operation.objects.filter(auto_apply=True).exists()


def test_requests_go_out_together_up_to_the_providers_cap(workspace, owner, boats, server, settings):
    settings.PROVIDER_SLOTS = {"openai_compatible": 2}
    together, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2, timeout=5)

    def answer(body):
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        if len(server.requests) <= 2:
            both.wait()
        with lock:
            together -= 1
        return retag(body)

    server.answer = answer
    assert done(launch(workspace, owner, server)).status == "succeeded"
    assert most == 2


# --- Not well ---------------------------------------------------------------------------------------


def test_an_answer_that_cannot_be_read_is_repaired_with_its_faults_and_nothing_else(workspace, owner, boats, server):
    def answer(body):
        if "<source_id>" in prompt_of(body):
            ids, request_id = sent_to(body)
            return response(request_id, tagging(ids[0])).replace("</operation>", "")
        return response(re.search(r"[0-9a-f-]{36}-\d+", prompt_of(body))[0], tagging(str(boats["Anchors"].id)))

    server.answer = answer
    run = done(launch(workspace, owner, server, limits={"sources_per_request": 10}))
    assert (run.status, run.error_detail) == ("succeeded", "")
    stages = list(Exchange.objects.order_by("created_at").values_list("stage", "index", "attempt"))
    assert stages == [("propose", 0, 1), ("validate_repair", 0, 1)]
    repair = prompt_of(server.requests[1].body)
    assert "What is to be known" not in repair
    assert "LIBRARIAN_PROTOCOL_INVALID" in repair
    assert Operation.objects.get().target_note == boats["Anchors"]


def test_after_two_repairs_the_run_fails_with_the_protocols_code_and_keeps_the_others_proposals(
    workspace, owner, boats, server
):
    server.answer = lambda body: "Sorry!" if "Anchors" in prompt_of(body) or "Sorry" in prompt_of(body) else retag(body)
    run = done(launch(workspace, owner, server))
    assert (run.status, run.error_code) == ("failed", "LIBRARIAN_PARSE_FAILED")
    assert "1 of 3 requests came to nothing" in run.error_detail
    assert Exchange.objects.filter(index=0).count() == 3
    assert Operation.objects.filter(status="pending").count() == 4
    (failure,) = RunReport.objects.get(run=run).failures
    assert (failure["code"], len(failure["note_ids"])) == ("LIBRARIAN_PARSE_FAILED", 2)


def test_the_next_model_is_asked_where_the_first_gives_no_answer(workspace, owner, boats, server):
    server.answer = lambda body: error(404, "no such model") if body["model"] == "test-model" else retag(body)
    run = done(launch(workspace, owner, server, provider={"fallback_models": ["second"]}))
    assert (run.status, run.error_detail) == ("succeeded", "")
    assert set(Operation.objects.values_list("model", flat=True)) == {"second"}
    failures = Exchange.objects.filter(model="test-model")
    assert set(failures.values_list("failure", "http_status", "charged_tokens")) == {("invalid_payload", 404, 0)}


def down(run):
    """The run looks at a server that is not there."""
    run = done(run)
    assert run.status == "queued", run.error_detail
    return run


@pytest.fixture
def away():
    """A server that was there, and is not any more."""
    with LLMServer() as server:
        pass
    return server


def test_a_server_that_is_off_is_waited_for_without_a_worker_and_its_answers_then_used(workspace, owner, boats, away):
    run = down(launch(workspace, owner, away))
    assert (run.error_code, run.attempts) == ("POSTPONED", 0)
    assert "unreachable" in run.error_detail
    assert "waits for it" in run.error_detail
    assert not DailyUse.objects.exclude(tokens=0).exists()
    assert not Operation.objects.exists()


def test_waiting_has_an_end(workspace, owner, boats, away):
    run = down(launch(workspace, owner, away, provider={"wait_minutes": 1}))
    long_ago = (timezone.now() - timedelta(minutes=2)).isoformat()
    Run.objects.filter(pk=run.pk).update(result_json={**run.result_json, "waiting": {"since": long_ago, "looks": 3}})
    run = done(run)
    assert (run.status, run.error_code) == ("failed", "LLM_PROVIDER_UNREACHABLE")


def test_the_offline_librarian_steps_in_if_the_rule_says_so_and_the_report_labels_it(workspace, owner, boats, away):
    run = done(launch(workspace, owner, away, provider={"when_down": "offline"}))
    assert (run.status, run.error_detail) == ("succeeded", "")
    report = RunReport.objects.get(run=run)
    assert (report.provider_kind, report.fallback, report.answers) == ("openai_compatible", "offline", {"offline": 3})
    assert "the offline librarian answered 3 of 3 requests" in report.warnings[0]


# --- Budgets ----------------------------------------------------------------------------------------


def test_a_run_out_of_requests_fails_and_leaves_what_was_proposed(workspace, owner, boats, server):
    run = done(launch(workspace, owner, server, limits={"max_requests": 2}))
    assert (run.status, run.error_code) == ("failed", "BUDGET_EXHAUSTED")
    assert "2 requests, and has. Raise the rule's max_requests" in run.error_detail
    assert len(server.requests) == 2
    assert Operation.objects.filter(status="pending").count() == 4


def test_tokens_are_charged_at_their_most_before_and_as_reported_after(workspace, owner, boats, server):
    seen = []

    def answer(body):
        seen.append(DailyUse.objects.get().tokens)
        return completion(retag(body), usage={"prompt_tokens": 700, "completion_tokens": 50})

    server.answer = answer
    run = done(launch(workspace, owner, server, provider={"max_tokens": 1000}, limits={"sources_per_request": 10}))
    assert run.status == "succeeded"
    assert seen[0] > 1000
    assert DailyUse.objects.get().tokens == 750
    report = RunReport.objects.get(run=run)
    assert (report.prompt_tokens, report.completion_tokens) == (700, 50)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"max_total_tokens": 1500}, "max_total_tokens"),
        ({"max_tokens_per_day": 1500}, "of the 1,500 of a day"),
        ({"max_cost": 0.001}, "max_cost"),
        ({"max_cost_per_day": 0.001}, "of the 0.001 of a day"),
    ],
)
def test_no_request_is_made_that_could_exceed_a_limit(workspace, owner, boats, server, limits, told):
    prices = {"input_price": 1, "output_price": 4, "max_tokens": 1000}
    run = done(launch(workspace, owner, server, provider=prices, limits=limits))
    assert run.error_code == "BUDGET_EXHAUSTED"
    assert told in run.error_detail
    assert server.requests == []


# --- Cut off and taken up again ---------------------------------------------------------------------


def test_a_run_that_is_cut_off_pays_for_no_answer_twice(workspace, owner, boats, server, settings):
    settings.PROVIDER_SLOTS = {"openai_compatible": 1}
    run = launch(workspace, owner, server)

    def answer(body):
        if len(server.requests) == 2:
            Run.objects.filter(pk=run.pk).update(cancel_requested=False, lease_token="0" * 32)  # somebody took it over
        return retag(body)

    server.answer = answer
    execute("automation.run", run.id)
    assert Exchange.objects.filter(answered_at__isnull=False).count() == 1
    Run.objects.filter(pk=run.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    server.answer = retag
    run = done(run)
    assert (run.status, run.error_detail) == ("succeeded", "")
    first = sorted(sent_to(server.requests[0].body)[0])
    again = [sent_to(request.body)[0] for request in server.requests[2:]]
    assert not set(first) & {note_id for ids in again for note_id in ids}
    assert Operation.objects.count() == 6


def test_a_run_that_takes_longer_than_a_worker_has_goes_on_later_with_what_it_has(
    workspace, owner, boats, server, settings
):
    settings.JOB_TIMEOUT_SECONDS = 10
    settings.PROVIDER_SLOTS = {"openai_compatible": 1}
    run = launch(workspace, owner, server)
    for asked in (1, 2):
        run = done(run)
        assert (run.status, run.error_code, run.attempts, len(server.requests)) == ("queued", "POSTPONED", 0, asked)
        assert "goes on in a moment" in run.error_detail
    run = done(run)
    assert (run.status, len(server.requests), Operation.objects.count()) == ("succeeded", 3, 6)


# --- Guards -----------------------------------------------------------------------------------------


def test_a_note_that_may_not_leave_the_machine_is_sent_to_it_alone(workspace, owner, server, settings):
    create_notes(
        workspace,
        [
            NewNote("Secret", "Canary words.\n", "secret.md", front_matter="---\nlibrarian: never\n---\n"),
            NewNote("Private", "Private words.\n", "private.md", front_matter="---\nlibrarian: local\n---\n"),
            NewNote("Public", "Public words.\n", "public.md"),
        ],
        cause=by(owner),
    )
    run = done(launch(workspace, owner, server))
    assert run.status == "succeeded"
    everything = json.dumps([request.body for request in server.requests])
    assert "Canary words" not in everything
    assert "Private words" in everything  # loopback
    assert {row["path"]: row["why"] for row in run.result_json["left_out"]}.keys() == {"secret.md"}


def test_a_note_that_is_excluded_after_the_run_began_is_not_sent(workspace, owner, boats, server, settings):
    settings.PROVIDER_SLOTS = {"openai_compatible": 1}

    def answer(body):
        if len(server.requests) == 1:
            note = Note.objects.get(title="Flags")
            update_note(note, base_version=1, front_matter="---\nlibrarian: never\n---\n", cause=by(owner))
        return retag(body)

    server.answer = answer
    run = done(launch(workspace, owner, server))
    assert (run.status, run.error_detail) == ("succeeded", "")
    assert "known of flags" not in json.dumps([request.body for request in server.requests])
    assert {row["path"] for row in run.result_json["left_out"]} == {"x/Flags.md"}
    assert not Disclosure.objects.filter(note__title="Flags", part="text").exists()


def test_a_request_whose_only_note_is_excluded_meanwhile_is_not_made_and_no_failure(
    workspace, owner, boats, server, settings
):
    settings.PROVIDER_SLOTS = {"openai_compatible": 1}

    def answer(body):
        if len(server.requests) == 1:
            note = Note.objects.get(title="Flags")
            update_note(note, base_version=1, front_matter="---\nlibrarian: never\n---\n", cause=by(owner))
        return retag(body)

    server.answer = answer
    run = done(launch(workspace, owner, server, limits={"sources_per_request": 1}))
    assert (run.status, run.error_detail) == ("succeeded", "")
    assert len(server.requests) == 5
    assert {row["path"] for row in run.result_json["left_out"]} == {"x/Flags.md"}


def test_an_answer_to_be_repaired_that_tells_of_a_changed_note_is_asked_for_anew(workspace, owner, boats, server):
    run = launch(workspace, owner, server, limits={"sources_per_request": 10})
    Exchange.objects.create(
        run=run,
        stage="propose",
        index=0,
        provider_kind="openai_compatible",
        model="test-model",
        sources=[{"note_id": str(note.id), "version": 1, "cut": False} for note in boats.values()],
        response="Known of flags, and no protocol.",
        answered_at=timezone.now(),
    )
    update_note(boats["Flags"], base_version=1, front_matter="---\nlibrarian: never\n---\n", cause=by(owner))
    run = done(run)
    assert (run.status, run.error_detail) == ("succeeded", "")
    assert "flags" not in json.dumps([request.body for request in server.requests]).lower()
    assert replay(run).is_identical


def test_a_replay_knows_what_of_an_answer_was_void(workspace, owner, boats, server):
    run = launch(workspace, owner, server, limits={"sources_per_request": 10})
    ids = [str(note.id) for note in boats.values()]
    Exchange.objects.create(
        run=run,
        stage="propose",
        index=0,
        provider_kind="openai_compatible",
        model="test-model",
        sources=[{"note_id": each, "version": 1, "cut": False} for each in ids],
        response=response(f"{run.id}-0", *(tagging(each, number) for number, each in enumerate(ids))),
        answered_at=timezone.now(),
    )
    delete_note(boats["Flags"], base_version=1, cause=by(owner))
    update_note(boats["Docks"], base_version=1, body="Docks are new.", cause=by(owner))
    run = done(run)
    assert (run.status, len(server.requests)) == ("succeeded", 1)
    assert Operation.objects.filter(status="pending").count() == 5
    assert replay(run).is_identical
    assert replay(run).differences == []


def test_an_operation_on_a_note_of_another_request_is_refused(workspace, owner, boats, server):
    other = str(boats["Flags"].id)

    def answer(body):
        ids, request_id = sent_to(body)
        return response(request_id, tagging(other if other not in ids else ids[0]))

    server.answer = answer
    done(launch(workspace, owner, server))
    codes = sorted(Operation.objects.values_list("reject_code", flat=True))
    assert codes == ["", "TARGET_UNKNOWN", "TARGET_UNKNOWN"]


def test_what_a_model_is_less_sure_of_than_the_rule_wants_is_refused(workspace, owner, boats, server):
    def answer(body):
        ids, request_id = sent_to(body)
        return response(request_id, tagging(ids[0], confidence=0.3))

    server.answer = answer
    done(launch(workspace, owner, server, limits={"sources_per_request": 10}))
    assert Operation.objects.get().reject_code == "CONFIDENCE_TOO_LOW"


def test_a_prompt_that_the_server_cut_is_noticed(workspace, owner, boats, server):
    server.answer = lambda body: completion(retag(body), usage={"prompt_tokens": 40, "completion_tokens": 50})
    run = done(launch(workspace, owner, server))
    assert any("seems to have cut the prompt" in warning for warning in RunReport.objects.get(run=run).warnings)


def test_a_model_may_choose_by_titles_which_notes_it_reads(workspace, owner, boats, server):
    chosen = str(boats["Docks"].id)

    def answer(body):
        _, request_id = sent_to(body)
        if "-plan-" in request_id:
            pick = ProposedOperation("op-1", "defer", target_note_id=chosen, reason="Worth it.", confidence=0.9)
            return response(request_id, pick)
        return retag(body)

    server.answer = answer
    run = done(launch(workspace, owner, server, choose_first=True))
    assert (run.status, run.error_detail) == ("succeeded", "")
    assert "What is to be known" not in prompt_of(server.requests[0].body)
    assert [str(note_id) for note_id in Operation.objects.values_list("target_note_id", flat=True)] == [chosen]
    assert len(run.result_json["left_out"]) == 5


# --- Keys -------------------------------------------------------------------------------------------


def test_a_key_reaches_its_host_and_no_row_log_or_error_of_ours(
    workspace, owner, boats, server, monkeypatch, caplog, capfd
):
    key = "sk-canary-5f0c1e77aa42"
    monkeypatch.setenv("KJXLKJ_LLM_KEYS", f"{server.host}={key}")
    caplog.set_level(logging.DEBUG)

    def answer(body):
        sent = server.requests[len(answered)].headers["authorization"]
        answered.append(sent)
        if len(answered) == 1:
            return error(500, f"bad token {sent}")
        return retag(body).replace("It is about a boat.", f"You sent {sent}.")

    answered: list[str] = []
    server.answer = answer
    run = done(launch(workspace, owner, server, provider={"fallback_models": ["second"]}))
    assert run.status == "succeeded", run.error_detail
    assert set(answered) == {f"Bearer {key}"}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT count(*) FROM {name} AS row WHERE row::text LIKE %s", [f"%{key}%"])
            assert (table, cursor.fetchone()[0]) == (table, 0)
    told = capfd.readouterr()
    assert key not in caplog.text + told.out + told.err
