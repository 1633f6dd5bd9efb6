"""Downloads: whole, in part, not at all; as the same bytes over a real server."""

import hashlib
import http.client
from base64 import b64encode
from urllib.parse import urlsplit

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import RequestFactory

from kjxlkj.downloads import Download, answer, handed_out
from kjxlkj.storing import StorageFault

DATA = bytes(range(256)) * 40
SHA256 = hashlib.sha256(DATA).hexdigest()
ETAG = f'"{SHA256}"'


@pytest.fixture
def download(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    name = default_storage.save("a/b.zip", ContentFile(DATA))
    return Download(name, "Bücher & Töne.zip", "application/zip", len(DATA), SHA256)


@pytest.fixture
def ask(download):
    def ask(method="get", **headers):
        return answer(getattr(RequestFactory(), method)("/", headers=headers), download)

    return ask


def body(response):
    data = b"".join(response)
    response.close()
    return data


def test_the_whole_comes_with_all_that_is_to_be_known_of_it(ask):
    response = ask()
    assert (response.status_code, body(response)) == (200, DATA)
    digest = b64encode(bytes.fromhex(SHA256)).decode()
    assert dict(response.headers) == {
        "Content-Type": "application/zip",
        "Content-Length": str(len(DATA)),
        "Content-Disposition": "attachment; filename*=utf-8''B%C3%BCcher%20%26%20T%C3%B6ne.zip",
        "Accept-Ranges": "bytes",
        "ETag": ETAG,
        "Digest": f"sha-256={digest}",
        "Repr-Digest": f"sha-256=:{digest}:",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }


@pytest.mark.parametrize(
    ("asked", "part", "told"),
    [
        ("bytes=0-0", DATA[:1], "0-0"),
        ("bytes=5-99", DATA[5:100], "5-99"),
        ("bytes=10000-", DATA[10000:], "10000-10239"),
        ("bytes=10000-999999", DATA[10000:], "10000-10239"),
        ("bytes=-7", DATA[-7:], "10233-10239"),
        ("bytes=-999999", DATA, "0-10239"),
        ("Bytes= 5 - 99", DATA[5:100], "5-99"),
    ],
)
def test_a_range_is_given_out(ask, asked, part, told):
    response = ask(range=asked)
    assert (response.status_code, body(response)) == (206, part)
    assert response["Content-Range"] == f"bytes {told}/{len(DATA)}"
    assert response["Content-Length"] == str(len(part))
    assert response["ETag"] == ETAG


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-9", "bytes=9-5", "bytes=-", "bytes=x-", "items=0-1", "bytes=٣-٤", "bytes=0-" + "9" * 5000, ""],
)
def test_what_is_no_single_range_gets_the_whole(ask, asked):
    response = ask(range=asked)
    assert (response.status_code, body(response)) == (200, DATA)


@pytest.mark.parametrize("asked", [f"bytes={len(DATA)}-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_of_nothing_is_refused_with_the_size(ask, asked):
    response = ask(range=asked)
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{len(DATA)}"
    assert b"RANGE_NOT_SATISFIABLE" in response.content


def test_an_empty_file_has_no_ranges(download, settings):
    name = default_storage.save("empty", ContentFile(b""))
    empty = Download(name, "e", "text/plain", 0, hashlib.sha256().hexdigest())
    assert answer(RequestFactory().get("/", headers={"range": "bytes=0-"}), empty).status_code == 416
    assert body(answer(RequestFactory().get("/"), empty)) == b""


@pytest.mark.parametrize(
    ("only_if", "status"),
    [(ETAG, 206), (f"W/{ETAG}", 200), ('"other"', 200), ("Wed, 21 Oct 2026 07:28:00 GMT", 200)],
)
def test_a_range_goes_on_only_with_the_same_file(ask, only_if, status):
    response = ask(range="bytes=5-", **{"if-range": only_if})
    assert response.status_code == status
    response.close()


@pytest.mark.parametrize("known", [ETAG, f'"x", {ETAG}', "*"])
def test_who_has_it_gets_it_not_again(ask, known):
    response = ask(**{"if-none-match": known})
    assert (response.status_code, response.content, response["ETag"]) == (304, b"", ETAG)


def test_who_has_another_gets_it(ask):
    response = ask(**{"if-none-match": '"other"'})
    assert body(response) == DATA


def test_a_head_tells_and_gives_nothing(ask):
    response = ask("head", range="bytes=5-9")
    assert (response.status_code, response.content) == (200, b"")
    assert (response["Content-Length"], response["Accept-Ranges"]) == (str(len(DATA)), "bytes")


def test_whoever_got_bytes_was_handed_the_file_out_whatever_the_method(download):
    for method, is_so in (("get", True), ("post", True), ("head", False)):
        request = getattr(RequestFactory(), method)("/")
        response = answer(request, download)
        response.close()
        assert handed_out(response, request) is is_so


@pytest.mark.parametrize("stream", [False, True])
def test_what_fails_tells_of_the_server_in_its_log_alone(bucket, caplog, stream):
    download = Download(default_storage.save("a", ContentFile(DATA)), "a", "text/plain", len(DATA), SHA256)
    bucket.stop()
    with pytest.raises(StorageFault) as raised:
        answer(RequestFactory().get("/"), download, stream=stream)
    assert raised.value.code == "STORAGE_UNAVAILABLE"
    assert raised.value.message == (
        "The storage failed (STORAGE_UNAVAILABLE). Ask whoever runs the server; `manage.py doctor` tells more."
    )
    assert bucket.url in caplog.text


@pytest.mark.parametrize("method", ["get", "head"])
def test_what_is_not_there_is_not_begun(ask, download, method):
    default_storage.delete(download.name)
    with pytest.raises(FileNotFoundError):
        ask(method)


def test_it_is_read_in_pieces_and_closed_wherever_it_stops(ask):
    response = ask()
    (file,) = [each.__self__._file for each in response._resource_closers]
    next(iter(response))
    response.close()
    assert file.closed
    big = ask(range="bytes=0-")
    assert max(map(len, big)) <= 256 * 1024
    big.close()


@pytest.mark.django_db(transaction=True)
def test_a_real_server_sends_exactly_the_range(live_server, client_for, viewer, workspace, settings, tmp_path):
    """Attachments take the same way as exports."""
    from kjxlkj.notes.attachments import content_of, save_attachments, store
    from kjxlkj.notes.models import Attachment

    settings.MEDIA_ROOT = tmp_path
    content = store(content_of(lambda: ContentFile(DATA)), lambda: ContentFile(DATA))
    save_attachments(workspace.id, [("img/Ärger.png", content)])
    token = client_for(viewer)._credentials["HTTP_AUTHORIZATION"]
    where = urlsplit(live_server.url)

    def ask(method, **headers):
        connection = http.client.HTTPConnection(where.hostname, where.port)
        connection.request(
            method, f"/api/attachments/{Attachment.objects.get().pk}", headers={"Authorization": token, **headers}
        )
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response, data

    response, data = ask("GET", Range="bytes=100-199")
    assert (response.status, data) == (206, DATA[100:200])
    response, data = ask("GET", Range="bytes=-10", **{"If-Range": response.headers["ETag"]})
    assert (response.status, data) == (206, DATA[-10:])
    response, data = ask("HEAD")
    assert (response.status, data, response.headers["Content-Length"]) == (200, b"", str(len(DATA)))
    response, data = ask("GET", Range="bytes=99999-")
    assert response.status == 416
    response, data = ask("GET")
    assert data == DATA
