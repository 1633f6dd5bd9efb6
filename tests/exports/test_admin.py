"""Exports in the admin: ordered, watched and fetched by those who may, and by nobody else."""

import pytest
from django.utils import timezone
from django.utils.formats import date_format

from exports.models import ExportJob
from exports.retention import keep_to_limits
from exports.services import request_backup, request_markdown_export
from tests.exports.conftest import browser, entries, execute, finished

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
    page = browser(owner).get(f"{LIST}{job.pk}/download/", follow=True).content.decode()
    assert "Ask again when it has succeeded" in page


def test_an_archive_that_is_gone_from_the_storage_is_said_to_be(owner, workspace, notes):
    job = execute(request_markdown_export(workspace, actor=owner))
    job.file.storage.delete(job.file.name)
    page = browser(owner).get(f"{LIST}{job.pk}/download/", follow=True).content.decode()
    assert "Ask for a new export" in page


# --- SQL backups ----------------------------------------------------------------------------------

WITHOUT_FILES = "<code>manage.py backup_sql --to FILE --attachments FOLDER</code> copies them too."


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


# --- What is known of a file ----------------------------------------------------------------------


def test_list_and_page_tell_size_digest_who_ordered_it_and_until_when(owner, workspace):
    old = finished(workspace=workspace, actor=owner, days_ago=1, data=b"x" * 2048)
    finished(workspace=workspace, actor=owner)
    keep_to_limits()
    old.refresh_from_db()
    client = browser(owner)
    until = f"kept until {date_format(old.expires_at, 'j M Y')}"
    for page, digest in ((LIST, old.sha256[:12]), (f"{LIST}{old.pk}/change/", old.sha256)):
        text = client.get(page).content.decode()
        assert all(fact in text for fact in ("2.0\xa0KB", digest, str(owner), until)), page
    assert "kept until there are newer ones" in client.get(LIST).content.decode()


def test_a_backup_is_said_to_come_back_not_to_or_not_to_have_been_tried(superuser):
    untried, well = finished("sql", days_ago=1), finished("sql", days_ago=2, verified=True)
    broken = finished("sql", days_ago=3, verified=False)
    difference = {"table": "public.notes_note", "what": "rows", "expected": 7, "found": 5}
    ExportJob.objects.filter(pk=broken.pk).update(
        verification_json={"ok": False, "tables": 40, "differences": [difference], "message": "Two are missing."}
    )
    client = browser(superuser)
    listed = client.get(LIST).content.decode()
    assert all(word in listed for word in (">not verified yet<", ">verified<", ">does not come back<"))
    assert "came back as it was written" in client.get(f"{LIST}{well.pk}/change/").content.decode()
    page = client.get(f"{LIST}{broken.pk}/change/").content.decode()
    assert "did not come back as it was written" in page
    assert "Two are missing." in page
    assert all(f">{value}<" in page for value in ("public.notes_note", "rows", 7, 5))
    assert "verification-title" not in client.get(f"{LIST}{untried.pk}/change/").content.decode()


def test_a_superuser_orders_the_check_of_a_backup(superuser, owner, workspace):
    backup = finished("sql")
    client = browser(superuser)
    assert f"{LIST}{backup.pk}/verify/" in client.get(f"{LIST}{backup.pk}/change/").content.decode()
    page = client.post(f"{LIST}{backup.pk}/verify/", follow=True).content.decode()
    check = ExportJob.objects.get(kind="verify")
    assert (check.subject, check.created_by) == (backup, superuser)
    assert "The check is ordered" in page
    assert "Check of a backup" in page
    assert f"{LIST}{backup.pk}/change/" in page
    assert f"{LIST}{check.pk}/delete-file/" not in page
    assert client.get(f"{LIST}{check.pk}/download/", follow=True).status_code == 200
    assert client.get(f"{LIST}{backup.pk}/verify/").status_code == 405
    assert browser(owner).post(f"{LIST}{backup.pk}/verify/").status_code == 404
    assert ExportJob.objects.filter(kind="verify").count() == 1


def test_a_backup_that_was_deleted_is_not_checked(superuser):
    backup = finished("sql")
    client = browser(superuser)
    client.post(f"{LIST}{backup.pk}/delete-file/")
    page = client.post(f"{LIST}{backup.pk}/verify/", follow=True).content.decode()
    assert "Ask for a new export" in page
    assert not ExportJob.objects.filter(kind="verify").exists()


def test_an_exports_page_tells_who_did_what_with_it(owner, workspace):
    job = finished(workspace=workspace)
    client = browser(owner)
    client.get(f"{LIST}{job.pk}/download/", headers={"Range": "bytes=0-3"})
    page = client.get(f"{LIST}{job.pk}/change/").content.decode()
    assert all(fact in page for fact in ("Downloaded", "bytes 0-3/11", "127.0.0.1", f"?export={job.pk}"))


def test_the_page_of_a_check_tells_what_came_of_it(superuser):
    backup = finished("sql")
    check = ExportJob.objects.create(kind="verify", subject=backup)
    difference = {"table": "public.notes_note", "what": "rows", "expected": 7, "found": 5}
    ExportJob.objects.filter(pk=check.pk).update(
        status="failed", error_code="BACKUP_DIFFERS", finished_at=timezone.now(),
        summary_json={"ok": False, "tables": 40, "differences": [difference], "message": "Two are missing."},
    )  # fmt: skip
    page = browser(superuser).get(f"{LIST}{check.pk}/change/").content.decode()
    assert "did not come back as it was written. Two are missing." in page
    assert "public.notes_note" in page
    assert "{&#x27;" not in page
