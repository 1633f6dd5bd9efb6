"""The action `export_markdown` of rules."""

import pytest

from automation.services import create_rule, launch_rule
from automation.validation import RuleInvalid
from exports.models import ExportJob
from exports.services import open_artifact
from kjxlkj.jobs import services as jobs
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note
from tests.exports.conftest import entries, execute

pytestmark = pytest.mark.django_db(transaction=True)
ACTION = {"kind": "export_markdown"}


def test_a_run_orders_one_export_of_the_rules_condition(workspace, owner, notes):
    rule = create_rule(workspace, actor=owner, name="R", action_json=ACTION, condition_json={"folder": "inbox"})
    (run,) = launch_rule(rule, actor=owner).runs
    for _ in range(2):
        jobs.execute("automation.run", run.pk)
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("succeeded", "")
    job = ExportJob.objects.get()
    assert (job.run, job.created_by, job.workspace) == (run, owner, workspace)
    assert run.result_json["export_id"] == str(job.pk)
    assert set(entries(open_artifact(execute(job)).read())) == {"inbox/log.md", "manifest.json"}


def test_it_exports_on_an_event_without_a_person(workspace, owner):
    rule = create_rule(workspace, actor=owner, name="R", trigger="note.created", action_json=ACTION, settle_seconds=0)
    create_note(workspace, NewNote("A", path="a.md"), cause=by(owner))
    jobs.execute("automation.run", rule.runs.get().pk)
    job = execute(ExportJob.objects.get())
    assert (job.status, job.created_by) == ("succeeded", None)


def test_an_empty_workspace_can_be_exported(workspace, owner):
    rule = create_rule(workspace, actor=owner, name="R", action_json=ACTION)
    (run,) = launch_rule(rule, actor=owner).runs
    jobs.execute("automation.run", run.pk)
    assert execute(ExportJob.objects.get()).summary_json["notes"] == 0


def test_it_has_no_settings(workspace, owner):
    with pytest.raises(RuleInvalid) as error:
        create_rule(workspace, actor=owner, name="R", action_json={**ACTION, "level": 9})
    assert error.value.details["faults"][0]["path"] == "action_json.level"
