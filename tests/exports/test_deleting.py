"""Artifacts deleted by hand: by whom, and what is left to be seen."""

import pytest
from django.core.files.storage import default_storage

from exports.models import AuditEntry, ExportJob
from exports.services import request_markdown_export
from tests.exports.conftest import browser, finished

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/exports/exportjob/"


def address(job):
    return f"/api/admin/export/{job.pk}/artifact"


def test_who_may_export_deletes_and_what_it_was_stays(client_for, admin, workspace):
    job = finished(workspace=workspace)
    api = client_for(admin)
    answer = api.delete(address(job))
    assert (answer.status_code, answer.json()["filename"]) == (200, job.filename)
    assert answer.json()["deleted_at"] is not None
    assert not default_storage.exists(job.file.name)
    gone = api.get(address(job))
    assert (gone.status_code, gone.json()["code"]) == (409, "EXPORT_GONE")
    assert "Ask for a new export" in gone.json()["message"]
    again = api.delete(address(job))
    assert (again.status_code, again.json()["code"]) == (409, "EXPORT_GONE")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.via, entry.address) == ("deleted", admin, "api", "127.0.0.1")


@pytest.mark.parametrize(
    ("who", "status"), [("outsider", 404), ("editor", 403), ("viewer", 403), ("owner", 200), ("superuser", 200)]
)
def test_who_may_not_export_deletes_nothing(client_for, request, workspace, who, status):
    job = finished(workspace=workspace)
    user = request.getfixturevalue(who)
    assert client_for(user).delete(address(job)).status_code == status
    assert default_storage.exists(job.file.name) == (status != 200)


@pytest.mark.parametrize(("who", "status"), [("owner", 404), ("superuser", 200)])
def test_backups_are_for_superusers(client_for, request, workspace, who, status):
    job = finished("sql")
    assert client_for(request.getfixturevalue(who)).delete(address(job)).status_code == status


def test_what_is_not_ready_or_in_use_is_not_deleted(client_for, superuser, workspace, notes):
    waiting = request_markdown_export(workspace, actor=superuser)
    checked = finished("sql")
    ExportJob.objects.create(kind="verify", subject=checked)
    api = client_for(superuser)
    answers = [api.delete(address(waiting)), api.delete(address(checked)), api.delete(f"{address(checked)}?force=1")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (409, "EXPORT_NOT_READY"),
        (409, "EXPORT_IN_USE"),
        (400, "BAD_REQUEST"),
    ]


def test_the_admin_asks_first(admin, workspace):
    job = finished(workspace=workspace)
    client = browser(admin)
    page = client.get(f"{LIST}{job.pk}/change/").content.decode()
    assert f"{LIST}{job.pk}/delete-file/" in page
    asked = client.get(f"{LIST}{job.pk}/delete-file/").content.decode()
    assert "newest archive of the whole of this workspace" in asked
    assert default_storage.exists(job.file.name)
    done = client.post(f"{LIST}{job.pk}/delete-file/", follow=True).content.decode()
    assert f"{job.filename} is deleted" in done
    assert not default_storage.exists(job.file.name)
    assert f"{LIST}{job.pk}/download/" not in done
    assert "deleted" in done
    again = client.get(f"{LIST}{job.pk}/delete-file/").content.decode()
    assert "Ask for a new export" in again
    assert "<form method" not in again.partition('class="run-tools"')[2]
    refused = client.get(f"{LIST}{job.pk}/download/", follow=True).content.decode()
    assert "Ask for a new export" in refused


def test_the_admin_warns_of_the_last_archive_of_its_condition(admin, workspace):
    part, _ = finished(workspace=workspace, days_ago=1), finished(workspace=workspace)
    ExportJob.objects.filter(pk=part.pk).update(condition_json={"tags": ["a"]})
    page = browser(admin).get(f"{LIST}{part.pk}/delete-file/").content.decode()
    assert "newest archive of this workspace’s notes that meet its condition" in page


def test_the_admin_warns_of_the_last_backup_that_came_back(superuser):
    well = finished("sql", days_ago=3, verified=True)
    finished("sql", days_ago=2, verified=False)
    page = browser(superuser).get(f"{LIST}{well.pk}/delete-file/").content.decode()
    assert "last backup that was restored and found well" in page
    assert "newest backup" not in page


@pytest.mark.parametrize(("who", "status"), [("outsider", 404), ("editor", 404), ("viewer", 404)])
def test_to_others_the_admin_shows_no_such_page(request, workspace, who, status):
    job = finished(workspace=workspace)
    client = browser(request.getfixturevalue(who))
    assert client.get(f"{LIST}{job.pk}/delete-file/").status_code == status
    assert client.post(f"{LIST}{job.pk}/delete-file/").status_code == status
    assert default_storage.exists(job.file.name)
