"""What a run tells of itself: what started it, its sources, its stages, its end in one sentence."""

import pytest

from automation.models import Rule, Run
from automation.services import create_rule, launch_rule, retry_run
from automation.ticks import tick
from automation.trace import triggered_by
from kjxlkj.jobs import services as jobs
from kjxlkj.jobs.services import cancel
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note, create_notes
from kjxlkj.workspaces.models import WorkspaceEvent
from kjxlkj.workspaces.services import update_workspace

pytestmark = pytest.mark.django_db(transaction=True)

LIBRARIAN = {"kind": "librarian_structure"}


@pytest.fixture
def rule(workspace, owner):
    create_notes(workspace, [NewNote(f"N{i}", path=f"n{i}.md") for i in range(3)], cause=by(owner))
    return create_rule(workspace, actor=owner, name="R", action_json=LIBRARIAN, trigger="note.created")


def deliver(run):
    jobs.execute("automation.run", run.id)
    run.refresh_from_db()
    return run


def test_a_run_tells_its_stages_with_their_counts_and_its_end_in_a_sentence(rule, owner):
    run = launch_rule(rule, actor=owner).runs[0]
    assert run.outcome == "Waits for a worker."
    deliver(run)
    stages = run.result_json["stages"]
    assert [stage["stage"] for stage in stages] == ["ingest", "plan", "propose", "validate"]
    assert all(stage["seconds"] >= 0 and stage["counts"] for stage in stages)
    assert run.outcome.startswith("Read 3 notes and proposed ")
    assert triggered_by(run) == f"{owner} by hand"
    assert run.rule_snapshot["action_json"] == LIBRARIAN


def test_a_second_attempt_tells_of_itself_alone(rule, owner):
    run = launch_rule(rule, actor=owner).runs[0]
    Run.objects.filter(pk=run.pk).update(result_json={"stages": [{"stage": "ingest", "of": "a worker that died"}]})
    assert [stage["stage"] for stage in deliver(run).result_json["stages"]] == ["ingest", "plan", "propose", "validate"]


def test_it_tells_which_events_started_it(workspace, rule, owner):
    create_note(workspace, NewNote("New"), cause=by(owner))
    create_note(workspace, NewNote("Newer"), cause=by(owner))
    run = Run.objects.get()
    first = WorkspaceEvent.objects.filter(type="note.created").order_by("seq")[3]
    assert triggered_by(run) == f"note.created (event {first.seq}) and 1 more event"


def test_it_tells_of_its_schedule_in_the_workspace_s_time(workspace, rule, owner):
    update_workspace(workspace, actor=owner, time_zone="Asia/Tokyo")
    Rule.objects.filter(pk=rule.pk).update(
        trigger="schedule", schedule="0 3 * * *", next_tick_at="2026-03-01T18:00:00Z", tick_zone="Asia/Tokyo"
    )
    tick()
    assert triggered_by(Run.objects.get()) == "its schedule, 2026-03-02 03:00 (Asia/Tokyo)"


def test_a_failed_run_tells_why_and_its_retry_of_what_it_is_one(rule, owner):
    run = launch_rule(rule, actor=owner).runs[0]
    cancel(run, detail="cancelled by somebody")
    run.refresh_from_db()
    assert run.outcome == "cancelled by somebody"
    assert triggered_by(retry_run(run, actor=owner)) == f"a retry of run {run.id} by {owner}"


def test_lists_tell_the_outcome_without_reading_the_whole_result(client, owner, rule, django_assert_max_num_queries):
    for _ in range(3):
        deliver(launch_rule(rule, actor=owner).runs[0])
    client.force_login(owner)
    with django_assert_max_num_queries(6) as asked:
        runs = client.get("/api/automation/runs").json()["results"]
    assert len(runs) == 3
    assert all(run["outcome"].startswith("Read 3 notes") for run in runs)
    assert not any('"automation_run"."result_json",' in query["sql"] for query in asked)
    detail = client.get(f"/api/automation/runs/{runs[0]['id']}").json()
    assert (detail["outcome"], detail["triggered_by"]) == (runs[0]["outcome"], f"{owner} by hand")


class TestSources:
    def test_are_listed_in_pages(self, client, owner, rule):
        run = launch_rule(rule, actor=owner).runs[0]
        client.force_login(owner)
        page = client.get(f"/api/automation/runs/{run.id}/sources?limit=2").json()
        assert [source["path"] for source in page["results"]] == ["n0.md", "n1.md"]
        (last,) = client.get(page["next"]).json()["results"]
        assert (last["title"], last["event_id"]) == ("N2", None)

    def test_are_none_of_an_outsider_s_business(self, client, outsider, owner, rule):
        run = launch_rule(rule, actor=owner).runs[0]
        client.force_login(outsider)
        answer = client.get(f"/api/automation/runs/{run.id}/sources")
        assert (answer.status_code, answer.json()["code"]) == (404, "RUN_NOT_FOUND")

    def test_a_parameter_that_is_none_is_refused(self, client, owner, rule):
        run = launch_rule(rule, actor=owner).runs[0]
        client.force_login(owner)
        assert client.get(f"/api/automation/runs/{run.id}/sources?page=2").status_code == 400
