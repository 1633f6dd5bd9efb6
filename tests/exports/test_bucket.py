"""Exports whose files are in a real bucket: made, handed out by links that end, deleted; and when it fails."""

import hashlib
import http.server
import resource
import threading
import urllib.error
import urllib.request

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from exports.artifacts import clear_orphans
from exports.models import AuditEntry, ExportJob
from exports.retention import keep_to_limits
from exports.services import open_artifact, request_backup, request_markdown_export
from kjxlkj.jobs import services as jobs
from kjxlkj.notes.attachments import content_of, save_attachments, store
from kjxlkj.notes.models import Attachment
from kjxlkj.s3 import S3
from tests.exports.conftest import browser, entries, execute, finished
from tests.jobs.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def attachment(workspace, bucket):
    """Larger than one part of an upload, and not to be compressed."""
    data = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(400_000))
    content = store(content_of(lambda: ContentFile(data)), lambda: ContentFile(data))
    save_attachments(workspace.id, [("img/Öl.bin", content)])
    return data


def fetch(address, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def test_an_export_of_notes_and_attachments_goes_into_the_bucket_and_comes_back(workspace, owner, notes, attachment):
    job = execute(request_markdown_export(workspace, actor=owner))
    assert (job.status, job.error_code) == ("succeeded", "")
    with open_artifact(job) as file:
        data = file.read()
    assert entries(data)["img/Öl.bin"] == attachment
    assert (len(data), hashlib.sha256(data).hexdigest()) == (job.size, job.sha256)


def test_a_backup_goes_into_the_bucket(superuser, bucket):
    job = execute(request_backup(actor=superuser))
    assert job.status == "succeeded"
    manifest = f"in/{job.file.name}.json"
    assert bucket.objects() == {f"in/{job.file.name}": job.size, manifest: bucket.objects()[manifest]}


def test_who_may_have_it_is_led_to_a_link_that_ends(client_for, admin, editor, workspace, bucket, settings):
    settings.S3_LINK_SECONDS = 2
    job = finished(workspace=workspace, data=b"0123456789" * 1000)
    ExportJob.objects.filter(pk=job.pk).update(filename="Bücher.zip")
    address = f"/api/admin/export/{job.pk}/artifact"
    led = client_for(admin).get(address)
    assert (led.status_code, led["Cache-Control"]) == (302, "private, no-store")
    link = led["Location"]
    status, data, headers = fetch(link)
    assert (status, data) == (200, b"0123456789" * 1000)
    assert headers["Content-Disposition"] == "attachment; filename*=utf-8''B%C3%BCcher.zip"
    assert headers["Content-Type"] == "application/zip"
    assert fetch(link, Range="bytes=5-9")[1] == b"56789"
    assert fetch(link.replace(str(job.pk), "another"))[0] in {400, 403}
    wait_for(lambda: fetch(link)[0] in {400, 403})
    assert client_for(editor).get(address).status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.detail["link_seconds"]) == ("downloaded", admin, 2)
    assert browser(admin).get(f"/admin/exports/exportjob/{job.pk}/download/").status_code == 302


@pytest.mark.parametrize("how", ["asked", "set"])
def test_who_cannot_follow_links_gets_it_through_us(client_for, admin, workspace, bucket, settings, how):
    data = bytes(range(256)) * 5000
    job = finished(workspace=workspace, data=data)
    settings.S3_LINK_SECONDS = 0 if how == "set" else 300
    address = f"/api/admin/export/{job.pk}/artifact{'?stream=true' if how == 'asked' else ''}"
    api = client_for(admin)
    whole = api.get(address)
    assert (whole.status_code, b"".join(whole.streaming_content)) == (200, data)
    part = api.get(address, headers={"Range": "bytes=300000-300099"})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, data[300000:300100])
    head = api.head(address)
    assert (head.status_code, head["Content-Length"]) == (200, str(len(data)))
    assert api.get(f"/api/admin/export/{job.pk}/artifact?stream=maybe").status_code == 400


def test_attachments_take_the_same_way(client_for, viewer, attachment, settings):
    address = f"/api/attachments/{Attachment.objects.get().pk}"
    api = client_for(viewer)
    led = api.get(address)
    status, data, headers = fetch(led["Location"])
    assert (status, data, headers["Content-Type"]) == (200, attachment, "application/octet-stream")
    streamed = api.get(f"{address}?stream=true")
    assert b"".join(streamed.streaming_content) == attachment


@pytest.mark.parametrize("query", ["", "?stream=true"])
def test_what_is_gone_from_the_bucket_is_said_to_be(client_for, admin, workspace, bucket, query):
    job = finished(workspace=workspace)
    default_storage.delete(job.file.name)
    for method in ("get", "head"):
        assert getattr(client_for(admin), method)(f"/api/admin/export/{job.pk}/artifact{query}").status_code == 409


def test_old_ones_and_orphans_are_deleted_in_the_bucket_too(workspace, bucket, settings):
    settings.KEEP_ARCHIVES = 1
    old, last = finished(workspace=workspace, days_ago=1), finished(workspace=workspace)
    assert keep_to_limits() == 1
    assert list(bucket.objects()) == [f"in/{last.file.name}"]
    ExportJob.objects.filter(pk=last.pk).update(deleted_at=last.finished_at)
    assert clear_orphans() == 1
    assert bucket.objects() == {}
    assert old.pk != last.pk


# --- When it fails --------------------------------------------------------------------------------


def nothing_is_left(job, files, bucket=None):
    assert (job.file.name, job.filename, job.sha256, job.size) == ("", "", "", None)
    assert not [path for path in (files.parent / ".incoming").rglob("*") if path.is_file()]
    assert bucket is None or bucket.objects() == {}


def test_a_bucket_that_refuses_connections_is_tried_again(workspace, owner, notes, bucket, files):
    job = request_markdown_export(workspace, actor=owner)
    bucket.stop()
    execute(job)
    assert (job.status, job.error_code, job.attempts) == ("queued", "STORAGE_UNAVAILABLE", 1)
    nothing_is_left(job, files)
    bucket.start()
    ExportJob.objects.update(not_before=None)
    assert execute(job).status == "succeeded"


def test_a_bucket_that_stays_away_fails_the_export_in_the_end(workspace, owner, notes, bucket, files):
    job = request_markdown_export(workspace, actor=owner)
    bucket.stop()
    for _ in range(3):
        ExportJob.objects.update(not_before=None)
        execute(job)
    assert (job.status, job.error_code) == ("failed", "STORAGE_UNAVAILABLE")
    assert bucket.url in job.error_detail
    nothing_is_left(job, files)


def test_a_bucket_that_is_full_half_way_keeps_nothing(workspace, owner, notes, attachment, bucket, files):
    before = bucket.objects()
    bucket.restart(most_bytes=3_000_000)
    job = execute(request_markdown_export(workspace, actor=owner))
    # This server says now the one, now the other; either way nothing is kept.
    assert (job.status, job.error_code) in {("queued", "STORAGE_UNAVAILABLE"), ("failed", "STORAGE_REFUSED")}
    nothing_is_left(job, files)
    assert bucket.objects() == before


def test_keys_that_are_wrong_fail_the_export_at_once(workspace, owner, notes, bucket, files, monkeypatch, settings):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    settings.STORAGES = {**settings.STORAGES}
    job = execute(request_markdown_export(workspace, actor=owner))
    assert (job.status, job.error_code) == ("failed", "STORAGE_REFUSED")
    assert "another" not in job.error_detail
    nothing_is_left(job, files, bucket)


class Broken(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - the library's names

    def log_message(self, *_):
        pass


def test_a_bucket_that_only_answers_500_is_tried_again(workspace, owner, notes, bucket, files, settings, client_for):
    ready = finished(workspace=workspace)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        broken = bucket.storage
        broken["OPTIONS"]["endpoint_url"] = f"http://127.0.0.1:{server.server_port}"
        settings.STORAGES = {**settings.STORAGES, "default": broken}
        job = execute(request_markdown_export(workspace, actor=owner))
        assert (job.status, job.error_code) == ("queued", "STORAGE_UNAVAILABLE")
        nothing_is_left(job, files)
        answer = client_for(owner).get(f"/api/admin/export/{ready.pk}/artifact?stream=true")
        assert (answer.status_code, answer.json()["code"]) == (502, "STORAGE_UNAVAILABLE")
        assert client_for(owner).delete(f"/api/admin/export/{ready.pk}/artifact").status_code == 200
        server.shutdown()
    assert not AuditEntry.objects.filter(action="downloaded").exists()
    # Deleted for everybody, and with the next sweep in the bucket too.
    settings.STORAGES = {**settings.STORAGES, "default": bucket.storage}
    assert clear_orphans() == 1
    assert bucket.objects() == {}


def test_a_disk_that_is_full_half_way_fails_the_export_and_keeps_nothing(workspace, owner, files):
    data = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(100_000))
    content = store(content_of(lambda: ContentFile(data)), lambda: ContentFile(data))
    save_attachments(workspace.id, [("big.bin", content)])
    job = request_markdown_export(workspace, actor=owner)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
        execute(job)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (job.status, job.error_code) == ("failed", "STORAGE_FULL")
    assert "Make room" in job.error_detail
    nothing_is_left(job, files)
    assert not (files / "exports").exists()


def test_a_cancel_ends_an_upload(workspace, owner, notes, attachment, bucket, files, monkeypatch):
    """It is heeded between the pieces."""
    before = bucket.objects()
    job = request_markdown_export(workspace, actor=owner)
    upload = S3.save

    def cancelled_before(storage, name, content):
        jobs.cancel(ExportJob.objects.get())
        wait_for(lambda: content._check.__self__._cancelled)
        return upload(storage, name, content)

    monkeypatch.setattr(S3, "save", cancelled_before)
    execute(job)
    assert (job.status, job.error_code) == ("failed", "CANCELLED")
    nothing_is_left(job, files)
    assert bucket.objects() == before
