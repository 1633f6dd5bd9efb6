"""Runs of webhooks: what they tell, how they end, and how they are tried again."""

import json
import re
import time
from pathlib import Path

import pytest
from django.conf import settings as project
from django.db import connection, transaction
from django.utils import timezone

from automation.models import Run
from automation.services import launch_rule, retry_run, update_rule
from automation.webhooks import action
from automation.webhooks import payload as payloads
from automation.webhooks.signing import secret_of
from kjxlkj.jobs import services as jobs
from kjxlkj.jobs.models import LLM_QUEUE, Slot
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note, create_notes, delete_note
from kjxlkj.workspaces.models import WorkspaceEvent
from tests.automation.webhooks.receiver import Receiver, status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def notes(workspace, owner):
    return create_notes(workspace, [NewNote(f"Nöte {i}", path=f"n{i}.md") for i in range(3)], cause=by(owner))


@pytest.fixture
def run(make_rule, receiver, notes, owner):
    """Queued, about three notes."""
    (run,) = launch_rule(make_rule(receiver.url), actor=owner).runs
    return run


def execute(run):
    """Deliver its message, as if its pause were over."""
    Run.objects.filter(pk=run.pk, status="queued").update(not_before=None)
    jobs.execute("automation.run", run.pk)
    run.refresh_from_db()
    return run


def test_a_launched_run_tells_of_the_notes_that_match(run, receiver, notes, workspace):
    assert run.queue == LLM_QUEUE
    execute(run)
    assert (run.status, run.error_code) == ("succeeded", "")
    (delivery,) = receiver.deliveries
    told = json.loads(delivery.body)
    assert told.pop("created_at") == run.created_at.isoformat().replace("+00:00", "Z")
    assert told == {
        "run_id": str(run.id),
        "retry_of": None,
        "trigger": "manual",
        "rule": {"id": str(run.rule_id), "name": "Tell"},
        "workspace": {"id": str(workspace.id), "slug": "team", "name": "Team"},
        "event_count": 0,
        "events": [],
        "note_count": 3,
        "notes": [{"id": str(note.id), "path": note.path, "title": note.title} for note in notes],
    }
    assert delivery.headers["X-Kjxlkj-Delivery"] == str(run.id)
    assert delivery.headers["Content-Type"] == "application/json"


def test_a_run_of_events_tells_of_each_with_who_did_it(make_rule, receiver, make_note, owner, editor, workspace):
    rule = make_rule(receiver.url, trigger="note.changed")
    note = make_note("A", path="a.md", by_user=editor)
    other = make_note("B", path="b.md")
    execute(rule.runs.get())
    told = json.loads(receiver.deliveries[0].body)
    events = WorkspaceEvent.objects.filter(type="note.created").order_by("seq")
    assert (told["trigger"], told["event_count"], told["note_count"], told["notes"]) == ("event", 2, 0, [])
    assert told["events"] == [
        {
            "id": str(event.id),
            "type": "note.created",
            "seq": event.seq,
            "created_at": event.created_at.isoformat().replace("+00:00", "Z"),
            "actor": {"id": str(who.id), "name": who.name},
            "note": {"id": str(about.id), "path": about.path, "title": about.title},
        }
        for event, about, who in zip(events, (note, other), (editor, owner), strict=True)
    ]


def test_a_deleted_note_is_still_named(make_rule, receiver, make_note, owner):
    note = make_note("A", path="a.md")
    rule = make_rule(receiver.url, trigger="note.deleted")
    delete_note(note, base_version=1, cause=by(owner))
    execute(rule.runs.get())
    (event,) = json.loads(receiver.deliveries[0].body)["events"]
    assert (event["type"], event["note"]["path"]) == ("note.deleted", "a.md")


def test_nothing_that_matches_is_told_too(make_rule, receiver, owner):
    (run,) = launch_rule(make_rule(receiver.url), actor=owner).runs
    assert execute(run).status == "succeeded"
    assert json.loads(receiver.deliveries[0].body)["note_count"] == 0


def test_more_notes_than_one_delivery_names_are_told_in_another(make_rule, receiver, workspace, owner):
    create_notes(workspace, [NewNote(f"N{i}", path=f"{i:04}.md") for i in range(510)], cause=by(owner))
    rule = make_rule(receiver.url, max_sources=1000)
    for run in launch_rule(rule, actor=owner).runs:
        assert run.rule_snapshot["max_sources"] == 500
        execute(run)
    told = [json.loads(delivery.body) for delivery in receiver.deliveries]
    assert [(each["note_count"], len(each["notes"])) for each in told] == [(500, 500), (10, 10)]
    assert [note["path"] for each in told for note in each["notes"]] == [f"{i:04}.md" for i in range(510)]
    assert len(launch_rule(make_rule(receiver.url, name="By default"), actor=owner).runs) == 2


def test_a_rule_may_have_fewer_told_at_once(make_rule, receiver, notes, owner):
    assert len(launch_rule(make_rule(receiver.url, max_sources=2), actor=owner).runs) == 2


def test_events_of_more_notes_make_more_runs_too(make_rule, receiver, workspace, owner):
    rule = make_rule(receiver.url, trigger="note.created", max_sources=1000)
    create_notes(workspace, [NewNote(f"N{i}", path=f"{i:04}.md") for i in range(510)], cause=by(owner))
    for run in rule.runs.order_by("id"):
        execute(run)
    told = [json.loads(delivery.body) for delivery in receiver.deliveries]
    assert [len(each["events"]) for each in told] == [500, 10]


def test_lists_are_bounded_and_counted(make_rule, receiver, notes, owner, monkeypatch):
    monkeypatch.setattr(payloads, "MOST", 2)
    (run,) = launch_rule(make_rule(receiver.url), actor=owner).runs
    execute(run)
    told = json.loads(receiver.deliveries[0].body)
    assert (told["note_count"], len(told["notes"])) == (3, 2)


def test_queries_do_not_grow_with_what_is_told(make_rule, receiver, workspace, owner, notes, connection_queries):
    def queries(**values):
        (run,) = launch_rule(make_rule(receiver.url, **values), actor=owner).runs
        return connection_queries(lambda: execute(run))

    few = queries(name="One", condition_json={"title_contains": "nöte 1"})
    assert queries(name="All") == few


# --- Signature ------------------------------------------------------------------------------------


def test_the_example_of_the_documentation_tells_genuine_deliveries_from_others(run, receiver):
    execute(run)
    (delivery,) = receiver.deliveries
    text = (Path(project.BASE_DIR) / "docs" / "rules.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    scope = {}
    exec(example, scope)
    is_genuine, secret = scope["is_genuine"], secret_of(run.rule_id)
    headers = dict(delivery.headers)
    assert is_genuine(secret, headers, delivery.body)
    assert not is_genuine(secret, headers, delivery.body + b" ")
    assert not is_genuine("0" * 64, headers, delivery.body)
    later = str(int(headers["X-Kjxlkj-Timestamp"]) + 1)
    assert not is_genuine(secret, {**headers, "X-Kjxlkj-Timestamp": later}, delivery.body)
    scope["time"] = type("Later", (), {"time": staticmethod(lambda: time.time() + 3600)})
    assert not is_genuine(secret, headers, delivery.body)


def test_each_rule_has_a_secret_of_its_own_that_is_nowhere_in_the_database(run, receiver, make_rule, settings):
    execute(run)
    secret = secret_of(run.rule_id)
    assert secret != secret_of(make_rule(receiver.url, name="Another").pk)
    assert secret not in json.dumps([run.result_json, run.rule_snapshot, run.rule.action_json])
    settings.SECRET_KEY = "another"
    assert secret_of(run.rule_id) != secret


# --- Outcomes -------------------------------------------------------------------------------------


def test_the_run_tells_what_came_of_it(run, receiver):
    receiver.answers = [status(200, b"thanks")]
    execute(run)
    told = run.result_json["delivery"]
    assert run.result_json["outcome"] == f"Delivered to 127.0.0.1:{receiver.port}, which answered 200."
    assert 0 <= told.pop("seconds") < 5
    assert told == {"url": receiver.url, "attempt": 1, "status": 200, "response": "thanks"}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (status(400), "WEBHOOK_REFUSED"),
        (status(401, b"who?"), "WEBHOOK_REFUSED"),
        (status(404), "WEBHOOK_REFUSED"),
        (status(410), "WEBHOOK_REFUSED"),
        (status(301, Location="http://127.0.0.1:1/"), "WEBHOOK_REDIRECTED"),
        (status(308), "WEBHOOK_REDIRECTED"),
        (status(304), "WEBHOOK_REDIRECTED"),
    ],
)
def test_a_refusal_ends_the_run_at_once(run, receiver, answer, code):
    receiver.answers = [answer]
    execute(run)
    assert (run.status, run.error_code, run.attempts) == ("failed", code, 1)
    assert run.result_json["outcome"] == run.error_detail
    assert str(run.result_json["delivery"]["status"]) in run.error_detail


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (status(429), "WEBHOOK_RATE_LIMITED"),
        (status(408), "WEBHOOK_TIMEOUT"),
        (status(500), "WEBHOOK_FAILED"),
        (status(503, b"restarting"), "WEBHOOK_FAILED"),
    ],
)
def test_what_may_pass_is_tried_again_and_is_the_same_delivery(run, receiver, answer, code):
    receiver.answers = [answer, status(204)]
    execute(run)
    assert (run.status, run.error_code, run.attempts) == ("queued", code, 1)
    assert 5 < (run.not_before - timezone.now()).total_seconds() <= 10
    assert run.result_json["outcome"] == run.error_detail
    execute(run)
    assert (run.status, run.error_code, run.attempts) == ("succeeded", "", 2)
    first, second = receiver.deliveries
    assert first.headers["X-Kjxlkj-Delivery"] == second.headers["X-Kjxlkj-Delivery"]
    assert first.body == second.body
    assert run.result_json["delivery"]["attempt"] == 2


def test_retry_after_is_obeyed(run, receiver):
    receiver.answers = [status(429, Retry_After="1800")]
    execute(run)
    assert 1790 < (run.not_before - timezone.now()).total_seconds() <= 1800


def test_three_attempts_are_all(run, receiver):
    receiver.answers = [status(502)]
    pauses = []
    for _ in range(3):
        execute(run)
        pauses.append(run.not_before and round((run.not_before - timezone.now()).total_seconds()))
    assert (run.status, run.error_code, len(receiver.deliveries)) == ("failed", "WEBHOOK_FAILED", 3)
    assert pauses == [10, 120, None]


def test_who_is_not_there_is_tried_again(run, receiver):
    receiver.__exit__()
    execute(run)
    assert (run.status, run.error_code) == ("queued", "WEBHOOK_UNREACHABLE")
    assert "status" not in run.result_json["delivery"]


def test_a_rules_time_limit_holds(make_rule, receiver, owner):
    receiver.answers = [lambda handler: time.sleep(3)]
    (run,) = launch_rule(make_rule(receiver.url, timeout_ms=200), actor=owner).runs
    execute(run)
    assert (run.status, run.error_code) == ("queued", "WEBHOOK_TIMEOUT")
    assert "0.2 s" in run.error_detail


def test_an_address_that_is_forbidden_by_now_ends_the_run_and_sends_nothing(run, receiver, settings):
    settings.WEBHOOK_ALLOW = []
    execute(run)
    assert (run.status, run.error_code, run.attempts) == ("failed", "WEBHOOK_ADDRESS_FORBIDDEN", 1)
    assert receiver.deliveries == []


def test_a_failed_run_that_is_tried_again_is_another_delivery(run, receiver, owner):
    receiver.answers = [status(404), status(204)]
    execute(run)
    again = execute(retry_run(run, actor=owner))
    assert again.status == "succeeded"
    first, second = receiver.deliveries
    assert second.headers["X-Kjxlkj-Delivery"] == str(again.id) != first.headers["X-Kjxlkj-Delivery"]
    assert again.result_json["retry_of"] == str(run.id)


def test_a_retry_tells_the_events_that_it_is_about_and_of_what_it_is_one(workspace, make_rule, receiver, owner):
    rule = make_rule(receiver.url)
    update_rule(rule, actor=owner, trigger="note.created")
    create_note(workspace, NewNote("New", path="new.md"), cause=by(owner))
    receiver.answers = [status(404), status(404), status(204)]
    run = rule.runs.get()
    Run.objects.filter(pk=run.pk).update(not_before=None)
    execute(run)
    again = execute(retry_run(run, actor=owner))
    execute(retry_run(again, actor=owner))
    first, second, third = (json.loads(delivery.body) for delivery in receiver.deliveries)
    assert [event["type"] for event in first["events"]] == ["note.created"]
    assert first["events"] == second["events"] == third["events"]
    assert (first["retry_of"], second["retry_of"], third["retry_of"]) == (None, str(run.id), str(run.id))


# --- Beside others --------------------------------------------------------------------------------


def test_a_finished_run_is_not_delivered_again(run, receiver):
    execute(run)
    execute(run)
    assert len(receiver.deliveries) == 1


def test_who_has_lost_the_lease_by_then_sends_nothing(run, receiver, monkeypatch):
    """Another has taken the run over while this worker was away."""
    told = action.payload

    def be_away(run):
        body = told(run)
        with transaction.atomic():
            Run.objects.filter(pk=run.pk).update(lease_token="00000000-0000-4000-8000-000000000000")
        return body

    monkeypatch.setattr(action, "payload", be_away)
    execute(run)
    assert receiver.deliveries == []
    assert run.status == "running"


def test_no_transaction_is_open_while_the_receiver_thinks(run, receiver):
    states = []

    def look(handler):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT state FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            states.extend(state for (state,) in cursor.fetchall())
        connection.close()
        status(204)(handler)

    receiver.answers = [look]
    assert execute(run).status == "succeeded"
    assert states
    assert set(states) == {"idle"}


def _take_slots(run):
    token = Run.objects.get(pk=run.pk).lease_token
    Slot.objects.bulk_create([Slot(resource="webhook 127.0.0.1", lease_token=token) for _ in range(3)])


def test_a_host_gets_four_at_once_and_the_others_come_back(make_rule, receiver, notes, owner):
    runs = launch_rule(make_rule(receiver.url, max_sources=1, name="Many"), actor=owner).runs
    (other,) = launch_rule(make_rule(receiver.url, name="Other"), actor=owner).runs

    def nested(handler):
        """While this delivery waits, its like have the other slots."""
        _take_slots(other)
        jobs.execute("automation.run", runs[0].pk)
        connection.close()
        status(204)(handler)

    receiver.answers = [nested, status(204)]
    assert execute(other).status == "succeeded"
    postponed = Run.objects.get(pk=runs[0].pk)
    assert (postponed.status, postponed.error_code, postponed.attempts) == ("queued", "POSTPONED", 0)
    assert execute(runs[0]).status == "succeeded"


def test_another_host_is_not_kept_waiting(run, receiver, settings, make_rule, owner, resolver):
    settings.WEBHOOK_ALLOW = ["127.0.0.0/8"]
    with Receiver(host="127.0.0.2") as elsewhere:
        (other,) = launch_rule(make_rule(elsewhere.url, name="Elsewhere"), actor=owner).runs

        def nested(handler):
            _take_slots(run)
            jobs.execute("automation.run", other.pk)
            connection.close()
            status(204)(handler)

        receiver.answers = [nested]
        execute(run)
        assert len(elsewhere.deliveries) == 1
