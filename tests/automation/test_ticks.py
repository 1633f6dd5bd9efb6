"""Scheduled rules: each moment is one launch, whoever looks and however late."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from automation.models import Rule, Run
from automation.schedules import next_times
from automation.services import create_rule, update_rule
from automation.ticks import tick
from kjxlkj.jobs import recovery, registry
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note, create_notes
from kjxlkj.workspaces.services import archive_workspace, update_workspace

pytestmark = pytest.mark.django_db

LIBRARIAN = {"kind": "librarian_structure"}


@pytest.fixture
def nightly(workspace, owner):
    create_note(workspace, NewNote("One", path="one.md"), cause=by(owner))
    return create_rule(
        workspace, actor=owner, name="Nightly", trigger="schedule", schedule="0 3 * * *", action_json=LIBRARIAN
    )


def miss(rule, days):
    """As if nobody had looked for so long."""
    missed = timezone.now() - timedelta(days=days)
    Rule.objects.filter(pk=rule.pk).update(next_tick_at=missed)
    return missed


def test_a_scheduled_rule_knows_when_it_is_due_in_its_workspace_s_time_zone(workspace, owner, nightly):
    update_workspace(workspace, actor=owner, time_zone="Asia/Tokyo")
    assert tick() == 0
    nightly.refresh_from_db()
    assert (nightly.next_tick_at.hour, nightly.next_tick_at.minute, nightly.tick_zone) == (18, 0, "Asia/Tokyo")
    assert nightly.next_tick_at == next_times("0 3 * * *", "Asia/Tokyo", timezone.now())[0]


def test_a_rule_that_is_not_due_starts_nothing(nightly):
    assert (tick(), Run.objects.count()) == (0, 0)


def test_what_was_missed_is_one_run_and_the_next_moment_lies_ahead(nightly):
    missed = miss(nightly, days=40)
    assert tick() == 1
    run = Run.objects.get()
    assert (run.trigger, run.tick_at, run.created_by, run.depth) == ("schedule", missed, None, 0)
    assert [source.note.title for source in run.sources.all()] == ["One"]
    nightly.refresh_from_db()
    assert nightly.next_tick_at > timezone.now()
    assert (tick(), Run.objects.count()) == (0, 1)


def test_it_covers_every_note_in_as_many_runs_as_it_takes(workspace, owner, nightly):
    create_notes(workspace, [NewNote(f"N{i}") for i in range(6)], cause=by(owner))
    update_rule(nightly, actor=owner, max_sources=3)
    miss(nightly, days=1)
    tick()
    assert sorted(run.sources.count() for run in Run.objects.all()) == [1, 3, 3]
    assert len({run.batch for run in Run.objects.all()}) == 1


def test_a_schedule_without_a_matching_note_starts_nothing_and_goes_on(workspace, owner, nightly):
    update_rule(nightly, actor=owner, condition_json={"folder": "nowhere"})
    miss(nightly, days=1)
    tick()
    nightly.refresh_from_db()
    assert (Run.objects.count(), nightly.next_tick_at > timezone.now()) == (0, True)


def test_a_disabled_rule_misses_nothing(owner, nightly):
    update_rule(nightly, actor=owner, enabled=False)
    nightly.refresh_from_db()
    assert nightly.next_tick_at is None
    update_rule(nightly, actor=owner, enabled=True)
    nightly.refresh_from_db()
    assert nightly.next_tick_at > timezone.now()
    assert tick() == 0


def test_another_trigger_has_no_next_moment_and_keeps_its_schedule(owner, nightly):
    update_rule(nightly, actor=owner, trigger="manual")
    nightly.refresh_from_db()
    assert (nightly.next_tick_at, nightly.schedule) == (None, "0 3 * * *")


def test_an_archived_workspace_is_left_alone(workspace, owner, nightly):
    miss(nightly, days=1)
    archive_workspace(workspace, actor=owner)
    assert (tick(), Run.objects.count()) == (0, 0)


def test_what_was_due_before_the_time_zone_changed_is_launched(workspace, owner, nightly):
    miss(nightly, days=1)
    update_workspace(workspace, actor=owner, time_zone="Europe/Berlin")
    assert tick() == 1


def test_a_condition_that_nobody_understands_any_more_fails_visibly_and_goes_on(nightly):
    miss(nightly, days=1)
    Rule.objects.filter(pk=nightly.pk).update(condition_json={"of_an_older_version": 1})
    assert tick() == 1
    assert [(run.status, run.error_code) for run in Run.objects.all()] == [("failed", "RULE_INVALID")]
    nightly.refresh_from_db()
    assert nightly.next_tick_at > timezone.now()


@pytest.mark.django_db(transaction=True)
def test_eight_that_look_at_once_launch_it_once(nightly):
    miss(nightly, days=1)

    def look(_):
        try:
            return tick()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(look, range(8))) == 1
    assert Run.objects.count() == 1


def test_whoever_sweeps_launches_what_is_due(nightly):
    miss(nightly, days=1)
    recovery.sweep()
    assert Run.objects.get().tick_at is not None


def test_a_chore_that_fails_keeps_no_other_from_being_done(nightly, monkeypatch, caplog):
    def fail():
        raise ValueError("broken chore")

    monkeypatch.setattr(registry, "_chores", [fail, tick])
    miss(nightly, days=1)
    recovery.sweep()
    assert Run.objects.count() == 1
    assert "a chore failed" in caplog.text


@pytest.mark.parametrize("line", ["", "hourly", "0 3 30 2 *", 7])
def test_a_schedule_that_is_none_is_refused_with_its_field(client, workspace, owner, line):
    client.force_login(owner)
    body = {"workspace_id": str(workspace.id), "name": "R", "trigger": "schedule", "schedule": line}
    answer = client.post("/api/automation/rules", {**body, "action_json": LIBRARIAN}, "application/json")
    assert answer.status_code == 422, answer.json()
    assert [fault["path"] for fault in answer.json()["details"]["faults"]] == ["schedule"]


def test_the_api_tells_when_a_rule_is_due(client, workspace, owner, nightly):
    client.force_login(owner)
    rule = client.get(f"/api/automation/rules/{nightly.id}").json()
    assert rule["schedule"] == "0 3 * * *"
    assert datetime.fromisoformat(rule["next_tick_at"]) > datetime.now(UTC)


def test_a_rule_that_is_due_can_be_edited_and_is_still_due(owner, nightly):
    miss(nightly, days=1)
    update_rule(nightly, actor=owner, name="Renamed", condition_json={"folder": ""})
    assert tick() == 1
    miss(nightly, days=1)
    update_rule(nightly, actor=owner, schedule="0 4 * * *")
    assert tick() == 0, "another schedule begins from now"


def test_a_rule_that_cannot_be_kept_to_its_schedule_holds_up_no_other(workspace, owner, nightly, caplog):
    broken = create_rule(
        workspace, actor=owner, name="Broken", trigger="schedule", schedule="0 3 * * *", action_json=LIBRARIAN
    )
    Rule.objects.filter(pk=broken.pk).update(schedule="no cron line", tick_zone="elsewhere")
    miss(broken, days=2)
    miss(nightly, days=1)
    assert tick() == 1
    assert Run.objects.get().rule == nightly
    assert "could not be kept to its schedule" in caplog.text
