"""Files beside the notes: who may fetch them, and as what they arrive."""

from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from rest_framework.test import APIClient

from kjxlkj.notes.models import Attachment

pytestmark = pytest.mark.django_db


@pytest.fixture
def attach(workspace, tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path

    def make(path, content=b"x"):
        attachment = Attachment(workspace=workspace, path=path, sha256="0" * 64, size=len(content))
        attachment.file.save(uuid4().hex, ContentFile(content), save=True)
        return attachment

    return make


def download(client, attachment, **headers):
    return client.get(f"/api/attachments/{attachment.id}", headers=headers)


def test_attachments_are_listed_by_path(client_for, viewer, outsider, workspace, attach):
    for path in ("b.png", "a/c.pdf", "a.csv"):
        attach(path)
    rows = client_for(viewer).get(f"/api/attachments?workspace_id={workspace.id}").json()["results"]
    assert [row["path"] for row in rows] == sorted(["b.png", "a/c.pdf", "a.csv"])
    assert rows[0].keys() == {"id", "workspace_id", "path", "sha256", "size", "created_at", "updated_at"}
    assert client_for(outsider).get("/api/attachments").json()["results"] == []


@pytest.mark.parametrize(
    ("path", "kind"),
    [("img/tide.png", "image/png"), ("a.pdf", "application/pdf"), ("data.csv", "text/csv"),
     *((name, "application/octet-stream") for name in (
         "noext", "page.html", "page.xhtml", "i.SVG", "x.xml", "x.js", "x.rss", "x.mml", "x.mht", "x.csv.gz"))],
)  # fmt: skip
def test_a_file_arrives_whole_as_a_download_that_no_browser_runs(client_for, viewer, attach, path, kind):
    answer = download(client_for(viewer), attach(path, b"\x00<script>alert(1)</script>"))
    assert b"".join(answer.streaming_content) == b"\x00<script>alert(1)</script>"
    assert answer["Content-Type"].partition(";")[0] == kind
    assert answer["Content-Disposition"].startswith("attachment;")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]


def test_names_in_any_language_survive(client_for, viewer, attach):
    answer = download(client_for(viewer), attach('ordner/Übersicht "neu"\'.png'))
    assert "filename*=utf-8''%C3%9Cbersicht" in answer["Content-Disposition"]
    assert "ordner" not in answer["Content-Disposition"]


def test_a_download_may_be_asked_for_by_its_own_type(client_for, viewer, attach):
    assert download(client_for(viewer), attach("a.png"), Accept="image/png").status_code == 200


def test_strangers_and_nobody_get_nothing(client_for, outsider, attach):
    attachment = attach("a.png")
    stranger = download(client_for(outsider), attachment)
    assert (stranger.status_code, stranger.json()["code"]) == (404, "ATTACHMENT_NOT_FOUND")
    assert download(APIClient(), attachment).status_code == 401


@pytest.mark.parametrize("attachment_id", [uuid4(), "x"])
def test_an_unknown_attachment_is_not_found(client_for, viewer, attachment_id):
    answer = client_for(viewer).get(f"/api/attachments/{attachment_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "ATTACHMENT_NOT_FOUND")


def test_a_file_that_is_missing_from_the_storage_is_told(client_for, viewer, attach):
    attachment = attach("a.png")
    attachment.file.storage.delete(attachment.file.name)
    answer = download(client_for(viewer), attachment)
    assert (answer.status_code, answer.json()["code"]) == (404, "ATTACHMENT_NOT_FOUND")
    assert "Import it again" in answer.json()["message"]


def test_the_list_takes_as_many_queries_for_many_rows_as_for_one(client_for, viewer, attach, connection_queries):
    attach("0.png")
    client = client_for(viewer)
    few = connection_queries(lambda: client.get("/api/attachments"))
    for i in range(1, 10):
        attach(f"{i}.png")
    assert connection_queries(lambda: client.get("/api/attachments")) == few
