"""The actions `export_markdown` and `sql_backup` of rules."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from automation import actions, recipes
from automation.models import Rule
from automation.services import cancel_run, create_rule, delete_rule, launch_rule, retry_run, update_rule
from automation.validation import RuleInvalid
from exports.models import ExportJob
from exports.services import open_artifact
from kjxlkj.errors import Forbidden
from kjxlkj.jobs import services as jobs
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note
from tests.exports.conftest import browser, entries, execute

pytestmark = pytest.mark.django_db(transaction=True)
ACTION = {"kind": "export_markdown"}
BACKUP = {"kind": "sql_backup"}


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


@pytest.mark.parametrize("action", [ACTION, BACKUP])
def test_they_have_no_settings_but_limits(workspace, superuser, action):
    with pytest.raises(RuleInvalid) as error:
        create_rule(workspace, actor=superuser, name="R", action_json={**action, "level": 9})
    assert error.value.details["faults"][0]["path"] == "action_json.level"
    assert set(actions.find(action["kind"]).schema["properties"]) == {"limits"}
    create_rule(workspace, actor=superuser, name="R", action_json={**action, "limits": {"max_runs_per_day": 1}})


# --- sql_backup -----------------------------------------------------------------------------------


@pytest.fixture
def backup_rule(workspace, superuser):
    return create_rule(workspace, actor=superuser, name="Weekly", action_json=BACKUP)


def test_a_run_orders_one_backup(workspace, superuser, backup_rule):
    (run,) = launch_rule(backup_rule, actor=superuser).runs
    for _ in range(2):
        jobs.execute("automation.run", run.pk)
    run.refresh_from_db()
    job = ExportJob.objects.get()
    assert (run.status, run.result_json["outcome"]) == ("succeeded", "A SQL backup is ordered.")
    assert (job.kind, job.workspace, job.run, job.created_by, job.queue) == ("sql", None, run, superuser, "long")
    assert run.result_json["export_id"] == str(job.pk)
    assert execute(job).status == "succeeded"


def test_whoever_chooses_it_is_told_what_is_not_in_it(superuser):
    about = "Attachments are not in it: manage.py backup_sql --to FILE --attachments FOLDER copies them too."
    action = actions.find("sql_backup")
    assert (action.label, action.schema["description"]) == ("Back up the database, without attachments", about)
    (recipe,) = (recipe for recipe in recipes.offered(superuser) if recipe.values["action_json"] == BACKUP)
    assert "Attachments are files and not in it" in recipe.about


def test_it_backs_up_on_an_event_of_anybodys(workspace, owner, superuser, backup_rule):
    update_rule(backup_rule, actor=superuser, trigger="note.created", settle_seconds=0)
    create_note(workspace, NewNote("A", path="a.md"), cause=by(owner))
    jobs.execute("automation.run", backup_rule.runs.get().pk)
    assert ExportJob.objects.get().kind == "sql"


def test_whoever_has_a_shell_here_may_launch_it(backup_rule):
    call_command("launch_rule", "Weekly", "--workspace", "team")
    assert backup_rule.runs.count() == 1


@pytest.mark.parametrize(
    "attempt",
    [
        lambda rule, run, owner: create_rule(rule.workspace, actor=owner, name="Mine", action_json=BACKUP),
        lambda rule, run, owner: update_rule(rule, actor=owner, name="Renamed"),
        lambda rule, run, owner: update_rule(rule, actor=owner, enabled=False),
        lambda rule, run, owner: update_rule(rule, actor=owner, action_json=ACTION),
        lambda rule, run, owner: delete_rule(rule, actor=owner),
        lambda rule, run, owner: launch_rule(rule, actor=owner),
        lambda rule, run, owner: retry_run(run, actor=owner),
    ],
)
def test_nobody_but_a_superuser_makes_changes_or_starts_it(backup_rule, owner, superuser, attempt):
    (run,) = launch_rule(backup_rule, actor=superuser).runs
    cancel_run(run, actor=superuser)
    before = Rule.objects.values().get()
    with pytest.raises(Forbidden) as error:
        attempt(backup_rule, run, owner)
    assert error.value.code == "ROLE_FORBIDDEN"
    assert Rule.objects.values().get() == before
    assert backup_rule.runs.count() == 1


def test_nobody_but_a_superuser_turns_a_rule_into_one(workspace, owner):
    rule = create_rule(workspace, actor=owner, name="R", action_json=ACTION)
    with pytest.raises(Forbidden):
        update_rule(rule, actor=owner, action_json=BACKUP)
    rule.refresh_from_db()
    assert rule.action_json == ACTION


def test_over_http_it_is_the_same(client_for, owner, superuser, workspace, backup_rule):
    api, body = client_for(owner), {"workspace_id": str(workspace.pk), "name": "Mine", "action_json": BACKUP}
    address = f"/api/automation/rules/{backup_rule.pk}"
    answers = [
        api.post("/api/automation/rules", body),
        api.patch(address, {"enabled": False}),
        api.delete(address),
        api.post(f"{address}/launch", {}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "ROLE_FORBIDDEN")] * 4
    api = client_for(superuser)
    assert api.post("/api/automation/rules", body).status_code == 201
    assert api.post(f"{address}/launch", {}).status_code == 202
    assert api.delete(address).status_code == 204


def test_in_the_admin_it_is_the_same(owner, superuser, backup_rule):
    address = f"/admin/automation/rule/{backup_rule.pk}"
    client = browser(owner)
    assert client.get(f"{address}/change/").status_code == 200
    assert client.post(f"{address}/change/", {"name": "Renamed"}).status_code == 403
    assert client.post(f"{address}/delete/", {"post": "yes"}).status_code == 403
    page = client.post(f"{address}/launch/", follow=True).content.decode()
    assert "takes a superuser" in page
    assert not backup_rule.runs.exists()
    backup_rule.refresh_from_db()
    assert (backup_rule.name, backup_rule.deleted_at) == ("Weekly", None)
    assert browser(superuser).post(f"{address}/delete/", {"post": "yes"}).status_code == 302


def test_an_admin_does_not_cancel_a_superuser_s_backup(backup_rule, superuser, admin):
    (run,) = launch_rule(backup_rule, actor=superuser).runs
    with pytest.raises(Forbidden):
        cancel_run(run, actor=admin)
    assert cancel_run(run, actor=superuser).error_code == "CANCELLED"


def test_an_archive_is_of_everything_whatever_the_rule_says_of_runs(workspace, owner, make_note, client):
    """And its runs list no notes: they would be kept with the archive, night after night."""
    for name in "abc":
        make_note(name.upper(), path=f"{name}.md")
    rule = create_rule(workspace, actor=owner, name="R", action_json=ACTION, max_sources=1)
    (run,) = launch_rule(rule, actor=owner).runs
    assert (run.source_count, run.sources.count()) == (3, 0)
    jobs.execute("automation.run", run.pk)
    assert execute(ExportJob.objects.get()).summary_json["notes"] == 3
    client.force_login(owner)
    page = client.get(reverse("admin:automation_run_change", args=[run.pk])).content.decode()
    assert "All 3 notes that met the rule" in page
