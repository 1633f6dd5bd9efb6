"""Exports over HTTP."""

import hashlib

import pytest

from exports.models import ExportJob
from exports.services import cancel_export, request_backup, request_markdown_export
from kjxlkj.jobs.serializers import JOB_FIELDS
from kjxlkj.workspaces.models import Workspace
from tests.exports.conftest import entries, execute, finished

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(workspace, owner, notes):
    return execute(request_markdown_export(workspace, actor=owner))


def test_an_export_is_ordered_watched_and_fetched(client_for, admin, workspace, notes):
    api = client_for(admin)
    answer = api.post("/api/admin/export/markdown", {"workspace_id": workspace.id})
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    address = f"/api/admin/export/{answer.json()['id']}"
    early = api.get(f"{address}/artifact")
    assert (early.status_code, early.json()["code"]) == (409, "EXPORT_NOT_READY")
    execute(ExportJob.objects.get())
    told = api.get(address).json()
    assert (told["status"], told["created_by_id"]) == ("succeeded", str(admin.id))
    artifact = api.get(f"{address}/artifact")
    data = b"".join(artifact.streaming_content)
    assert artifact.status_code == 200
    assert artifact["Content-Type"] == "application/zip"
    assert artifact["Content-Disposition"] == f'attachment; filename="{told["filename"]}"'
    assert artifact["X-Content-Type-Options"] == "nosniff"
    assert artifact["Content-Length"] == str(told["size"])
    assert hashlib.sha256(data).hexdigest() == told["sha256"]


def test_a_condition_is_understood_and_its_faults_are_named(client_for, owner, workspace, notes):
    api = client_for(owner)
    bad = api.post("/api/admin/export/markdown", {"workspace_id": workspace.id, "condition": {"tag": 3}})
    assert (bad.status_code, bad.json()["code"]) == (422, "RULE_INVALID")
    assert bad.json()["details"]["faults"][0]["path"] == "$.tag"
    good = api.post("/api/admin/export/markdown", {"workspace_id": workspace.id, "condition": {"tag": "a"}})
    assert good.status_code == 202
    job = execute(ExportJob.objects.get())
    assert set(entries(job.file.read())) == {"plan.md", "manifest.json"}


@pytest.mark.parametrize("who", ["editor", "viewer"])
def test_members_without_the_right_are_told_so(client_for, request, job, workspace, who):
    api = client_for(request.getfixturevalue(who))
    answers = [
        api.post("/api/admin/export/markdown", {"workspace_id": workspace.id}),
        api.get(f"/api/admin/export?workspace_id={workspace.id}"),
        api.get(f"/api/admin/export/{job.pk}"),
        api.get(f"/api/admin/export/{job.pk}/artifact"),
        api.post(f"/api/admin/export/{job.pk}/cancel"),
        api.post(f"/api/admin/export/{job.pk}/retry"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "ROLE_FORBIDDEN")] * 6
    assert api.get("/api/admin/export").json()["results"] == []


def test_to_strangers_nothing_is_there(client_for, outsider, job, workspace):
    api = client_for(outsider)
    answers = [
        api.post("/api/admin/export/markdown", {"workspace_id": workspace.id}),
        api.get(f"/api/admin/export?workspace_id={workspace.id}"),
        api.get(f"/api/admin/export/{job.pk}"),
        api.get(f"/api/admin/export/{job.pk}/artifact"),
        api.get("/api/admin/export/nonsense"),
        api.post(f"/api/admin/export/{job.pk}/cancel"),
        api.post(f"/api/admin/export/{job.pk}/retry"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 7
    assert answers[2].json() == {**answers[4].json(), "request_id": answers[2].json()["request_id"]}
    assert api.get("/api/admin/export").json()["results"] == []


def test_lists_are_by_workspace_and_status(client_for, owner, job, workspace):
    waiting = request_markdown_export(workspace, actor=owner)
    api = client_for(owner)
    rows = api.get(f"/api/admin/export?workspace_id={workspace.id}").json()["results"]
    assert [row["id"] for row in rows] == [str(waiting.pk), str(job.pk)]
    rows = api.get("/api/admin/export?status=succeeded").json()["results"]
    assert [row["id"] for row in rows] == [str(job.pk)]
    assert api.get("/api/admin/export?status=nonsense").status_code == 400


def test_a_queued_export_is_cancelled_and_tried_again(client_for, admin, owner, workspace, notes):
    failed = request_markdown_export(workspace, actor=owner, condition={"tag": "a"})
    api = client_for(admin)
    address = f"/api/admin/export/{failed.pk}"
    cancelled = api.post(f"{address}/cancel")
    assert cancelled.status_code == 200
    assert (cancelled.json()["status"], cancelled.json()["error_code"]) == ("failed", "CANCELLED")
    again = api.post(f"{address}/retry")
    assert again.status_code == 202
    told = again.json()
    assert told["id"] != str(failed.pk)
    assert (told["status"], told["condition_json"], told["created_by_id"]) == ("queued", {"tag": "a"}, str(admin.id))
    assert execute(ExportJob.objects.get(pk=told["id"])).status == "succeeded"


def test_what_is_finished_is_not_cancelled_and_what_has_not_failed_is_not_repeated(client_for, owner, job):
    api = client_for(owner)
    answers = [api.post(f"/api/admin/export/{job.pk}/{action}") for action in ("cancel", "retry")]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert [answer.json()["code"] for answer in answers] == ["JOB_FINISHED", "EXPORT_NOT_FAILED"]


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_a_malformed_cancel_or_retry_does_nothing(client_for, owner, workspace, notes, action):
    job = request_markdown_export(workspace, actor=owner)
    if action == "retry":
        cancel_export(job, actor=owner)
    api = client_for(owner)
    answer = api.post(f"/api/admin/export/{job.pk}/{action}", {"force": True})
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert api.post(f"/api/admin/export/nonsense/{action}").status_code == 404
    assert api.get(f"/api/admin/export/{job.pk}/{action}").status_code == 405
    job.refresh_from_db()
    assert job.status == ("queued" if action == "cancel" else "failed")
    assert ExportJob.objects.count() == 1


def test_all_that_a_job_tells_of_its_progress_is_on_the_wire(client_for, owner, workspace, notes):
    waiting = request_markdown_export(workspace, actor=owner)
    told = client_for(owner).get(f"/api/admin/export/{waiting.pk}").json()
    assert told.keys() >= set(JOB_FIELDS)
    assert (told["queue"], told["max_attempts"], told["cancel_requested"]) == ("long", 3, False)


def test_an_archive_outlives_the_archiving_of_its_workspace(client_for, owner, job):
    Workspace.objects.update(state="archived")
    assert client_for(owner).get(f"/api/admin/export/{job.pk}/artifact").status_code == 200


def test_a_superuser_orders_a_backup_and_fetches_it(client_for, superuser, workspace):
    api = client_for(superuser)
    answer = api.post("/api/admin/backup/sql")
    assert answer.status_code == 202
    told = answer.json()
    assert (told["kind"], told["workspace_id"], told["status"], told["queue"]) == ("sql", None, "queued", "long")
    execute(ExportJob.objects.get())
    (listed,) = api.get("/api/admin/export?kind=sql").json()["results"]
    assert listed["summary_json"]["engine"] == "postgresql"
    artifact = api.get(f"/api/admin/export/{told['id']}/artifact")
    assert artifact["Content-Type"] == "application/octet-stream"
    data = b"".join(artifact.streaming_content)
    assert (data[:5], hashlib.sha256(data).hexdigest()) == (b"PGDMP", listed["sha256"])


@pytest.mark.parametrize("who", ["owner", "admin", "viewer", "outsider"])
def test_everybody_else_is_refused_and_sees_none(client_for, request, superuser, workspace, who):
    backup = request_backup(actor=superuser)
    api = client_for(request.getfixturevalue(who))
    refused = api.post("/api/admin/backup/sql")
    assert (refused.status_code, refused.json()["code"]) == (403, "ROLE_FORBIDDEN")
    address = f"/api/admin/export/{backup.pk}"
    answers = [
        api.get(address),
        api.get(f"{address}/artifact"),
        api.post(f"{address}/cancel"),
        api.post(f"{address}/retry"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert api.get("/api/admin/export").json()["results"] == []
    assert ExportJob.objects.count() == 1


def test_a_malformed_order_of_a_backup_makes_none(client_for, superuser):
    api = client_for(superuser)
    answer = api.post("/api/admin/backup/sql", {"tables": ["notes"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert api.get("/api/admin/backup/sql").status_code == 405
    assert not ExportJob.objects.exists()


def test_nobody_exports_without_logging_in(client, job):
    assert client.get(f"/api/admin/export/{job.pk}/artifact").status_code == 401
    assert client.post("/api/admin/backup/sql").status_code == 401


def test_a_superuser_has_a_backup_checked(client_for, superuser, owner, job):
    backup = finished("sql", actor=superuser)
    api = client_for(superuser)
    address = f"/api/admin/export/{backup.pk}/verify"
    answer = api.post(address)
    assert answer.status_code == 202
    told = answer.json()
    assert (told["kind"], told["subject_id"], told["status"]) == ("verify", str(backup.pk), "queued")
    artifact = api.get(f"/api/admin/export/{told['id']}/artifact")
    assert (artifact.status_code, artifact.json()["code"]) == (409, "EXPORT_NOT_READY")
    assert api.post(address, {"force": True}).status_code == 400
    assert client_for(owner).post(address).status_code == 404
    assert client_for(owner).post(f"/api/admin/export/{job.pk}/verify").status_code == 403


def test_lists_take_as_many_queries_for_many_rows_as_for_one(client_for, superuser, job, connection_queries):
    api = client_for(superuser)
    few = connection_queries(lambda: api.get("/api/admin/export"))
    for _ in range(5):
        backup = finished("sql", actor=superuser)
        ExportJob.objects.create(kind="verify", subject=backup)
    assert connection_queries(lambda: api.get("/api/admin/export")) == few
