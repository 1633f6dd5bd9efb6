"""Exports in the admin: ordered, watched and fetched by those who may, and by nobody else."""

import pytest

from exports.models import ExportJob
from exports.services import request_backup, request_markdown_export
from tests.exports.conftest import browser, entries, execute

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/exports/exportjob/"


def test_an_archive_is_ordered_and_fetched(admin, workspace, notes):
    client = browser(admin)
    ordered = client.post(f"{LIST}markdown/", {"workspace": workspace.slug}, follow=True)
    assert "is ordered" in ordered.content.decode()
    job = execute(ExportJob.objects.get(created_by=admin))
    page = client.get(LIST).content.decode()
    assert f"{LIST}{job.pk}/download/" in page
    assert job.filename in page
    download = client.get(f"{LIST}{job.pk}/download/")
    assert download["Content-Disposition"] == f'attachment; filename="{job.filename}"'
    assert {note.path for note in notes if note.path} <= set(entries(b"".join(download.streaming_content)))
    assert client.get(f"{LIST}{job.pk}/change/").status_code == 200


@pytest.mark.parametrize("role", ["editor", "viewer", "outsider"])
def test_nobody_else_orders_sees_or_fetches_it(request, owner, workspace, notes, role):
    job = execute(request_markdown_export(workspace, actor=owner))
    client = browser(request.getfixturevalue(role))
    client.post(f"{LIST}markdown/", {"workspace": workspace.slug})
    assert ExportJob.objects.count() == 1
    assert str(job.pk) not in client.get(LIST).content.decode()
    assert client.get(f"{LIST}{job.pk}/download/").status_code in {403, 404}


def test_asking_changes_nothing(owner, workspace):
    assert browser(owner).get(f"{LIST}markdown/", {"workspace": workspace.slug}).status_code == 405
    assert not ExportJob.objects.exists()


def test_an_unfinished_archive_cannot_be_fetched(owner, workspace, notes):
    job = request_markdown_export(workspace, actor=owner)
    assert browser(owner).get(f"{LIST}{job.pk}/download/").status_code == 404


def test_an_archive_that_is_gone_from_the_storage_is_not_found(owner, workspace, notes):
    job = execute(request_markdown_export(workspace, actor=owner))
    job.file.storage.delete(job.file.name)
    assert browser(owner).get(f"{LIST}{job.pk}/download/").status_code == 404


# --- SQL backups ----------------------------------------------------------------------------------

WITHOUT_FILES = "Attachments are files and not in it: copy the files folder as well."


def test_a_superuser_orders_watches_and_fetches_a_backup(superuser, workspace):
    client = browser(superuser)
    page = client.get(LIST).content.decode()
    assert "Back up the database" in page
    assert WITHOUT_FILES in page
    ordered = client.post(f"{LIST}sql/", follow=True).content.decode()
    assert "The SQL backup is ordered" in ordered
    job = execute(ExportJob.objects.get())
    assert job.filename in client.get(LIST).content.decode()
    page = client.get(f"{LIST}{job.pk}/change/").content.decode()
    assert "public.notes_note" in page
    assert "Every note" not in page
    download = client.get(f"{LIST}{job.pk}/download/")
    assert b"".join(download.streaming_content)[:5] == b"PGDMP"


@pytest.mark.parametrize("role", ["owner", "admin", "outsider"])
def test_to_everybody_else_there_are_no_backups(request, superuser, workspace, role):
    job = execute(request_backup(actor=superuser))
    client = browser(request.getfixturevalue(role))
    assert "Back up the database" not in client.get(LIST).content.decode()
    refused = client.post(f"{LIST}sql/", follow=True).content.decode()
    assert "takes a superuser" in refused
    assert ExportJob.objects.filter(kind="sql").count() == 1
    assert job.filename not in refused
    assert client.get(f"{LIST}{job.pk}/download/").status_code == 404
    assert client.get(f"{LIST}{job.pk}/change/").status_code != 200


def test_asking_for_a_backup_changes_nothing(superuser):
    assert browser(superuser).get(f"{LIST}sql/").status_code == 405
    assert not ExportJob.objects.exists()
