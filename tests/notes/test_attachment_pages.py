"""Attachments in the admin: who sees them, what may be shown, and where they show in notes."""

import base64
import hashlib
import io
import re
from uuid import uuid4

import pytest
from django.urls import reverse

from kjxlkj.notes.addresses import with_addresses
from kjxlkj.notes.attachments import content_of, delete_attachments, save_attachments, store
from kjxlkj.notes.models import Attachment
from kjxlkj.notes.serving import PICTURE_MAX_BYTES
from librarian.preview import render_preview
from tests.notes.test_admin import browser, html, url

pytestmark = pytest.mark.django_db

LIST = "/admin/notes/attachment/"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
PICTURES = {
    "a.png": (PNG, "image/png"),
    "a.JPG": (b"\xff\xd8\xff\xe0...", "image/jpeg"),
    "a.gif": (b"GIF89a...", "image/gif"),
    "a.webp": (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
    "a.avif": (b"\0\0\0\x1cftypavif....", "image/avif"),
    "a-gif.png": (b"GIF87a<script>", "image/gif"),
}
NO_PICTURES = {
    "page.html": b"<script>alert(1)</script>",
    "a.svg": SVG,
    "svg-as.png": SVG,
    "html-as.gif": b"<html>GIF89a<script>alert(1)</script>",
    "a.pdf": b"%PDF-1.7",
    "png-as.html": PNG,
    "a.xml": b"<?xml version='1.0'?>",
    "empty.png": b"",
    "riff.webp": b"RIFF\x10\0\0\0WAVEfmt ",
}


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def attach(workspace):
    def make(path, content=PNG, into=workspace):
        save_attachments(into.id, [(path, store(content_of(lambda: io.BytesIO(content)), lambda: io.BytesIO(content)))])
        return Attachment.objects.get(workspace=into, path=path)

    return make


def at(name, attachment):
    return reverse(f"admin:notes_attachment_{name}", args=[attachment.pk])


def body(response):
    return b"".join(response.streaming_content)


class TestList:
    def test_it_tells_size_digest_and_the_notes_that_link_to_each(self, viewer, attach, make_note):
        logo = attach("img/logo.png")
        for number in range(5):
            make_note(f"Note {number}", path=f"{number}.md", body="![[logo.png]] ![[logo.png]]")
        page = html(browser(viewer).get(LIST))
        assert f"{len(PNG)}\xa0bytes" in page
        assert hashlib.sha256(PNG).hexdigest() in page
        assert re.search(r"Note 0</a>, <a[^>]*>Note 1</a>, <a[^>]*>Note 2</a> and 2 more", page)
        assert at("change", logo) in page
        assert at("file", logo) in page

    def test_members_see_theirs_and_strangers_nothing(self, superuser, viewer, outsider, attach):
        attach("secret.pdf")
        assert "secret.pdf" in html(browser(viewer).get(LIST))
        assert "secret.pdf" in html(browser(superuser).get(LIST))
        assert "secret.pdf" not in html(browser(outsider).get(LIST))
        assert browser(outsider).get(LIST, {"workspace": "team"}).status_code == 200

    def test_deleted_files_are_not_listed(self, viewer, attach, workspace):
        delete_attachments(workspace.id, [attach("gone.pdf").id])
        assert "gone.pdf" not in html(browser(viewer).get(LIST))

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"kind": "pictures"}, {"a.png", "b.SVG"}),
            ({"kind": "pdf"}, {"c.pdf"}),
            ({"kind": "media"}, {"d.mp3"}),
            ({"kind": "other"}, {"e.csv"}),
            ({"linked": "1"}, {"a.png"}),
            ({"linked": "0"}, {"b.SVG", "c.pdf", "d.mp3", "e.csv"}),
            ({"q": "C.P"}, {"c.pdf"}),
            ({"q": hashlib.sha256(b"e.csv").hexdigest()[:12].upper()}, {"e.csv"}),
            ({"q": "\0"}, {"a.png", "b.SVG", "c.pdf", "d.mp3", "e.csv"}),
            ({"workspace": "team"}, {"a.png", "b.SVG", "c.pdf", "d.mp3", "e.csv"}),
        ],
    )
    def test_filters_and_search_narrow_it(self, viewer, attach, make_note, query, found):
        for path in ("a.png", "b.SVG", "c.pdf", "d.mp3", "e.csv"):
            attach(path, path.encode())
        make_note("N", body="[[a.png]]")
        assert set(re.findall(r'<a class="note"[^>]*>([^<]*)</a>', html(browser(viewer).get(LIST, query)))) == found

    @pytest.mark.parametrize("query", [{"kind": "x"}, {"linked": "2"}, {"kind": "\0"}])
    def test_bad_filters_are_refused(self, viewer, attach, query):
        assert browser(viewer).get(LIST, query).status_code in {302, 400}

    def test_many_rows_take_as_many_queries_as_one(self, viewer, attach, make_note, connection_queries):
        attach("0.png")
        make_note("N", body="[[0.png]]")
        client = browser(viewer)
        client.get(LIST)
        few = connection_queries(lambda: client.get(LIST))
        for number in range(1, 20):
            attach(f"{number}.png")
            make_note("N", body=f"[[{number}.png]] [[0.png]]")
        assert connection_queries(lambda: client.get(LIST)) == few


class TestPage:
    def test_it_shows_a_picture_and_the_notes_that_link_to_it(self, viewer, attach, make_note):
        logo = attach("img/logo.png")
        attach("copy of logo.png")
        note = make_note("Harbour", body="![](/img/logo.png)")
        page = html(browser(viewer).get(at("change", logo)))
        assert f'<img src="{at("picture", logo)}" alt="The picture logo.png">' in page
        assert url("change", note) in page
        assert "copy of logo.png" in page
        assert logo.sha256 in page

    @pytest.mark.parametrize("path", ["a.svg", "a.html", "a.pdf", "a.bin"])
    def test_what_is_no_picture_is_offered_as_a_download_only(self, viewer, attach, path):
        attachment = attach(path, SVG)
        page = html(browser(viewer).get(at("change", attachment)))
        assert "<img" not in page
        assert at("file", attachment) in page

    def test_the_largest_pictures_are_not_offered(self, viewer, attach):
        attachment = attach("large.png")
        Attachment.objects.update(size=PICTURE_MAX_BYTES + 1)
        assert "<img" not in html(browser(viewer).get(at("change", attachment)))
        assert browser(viewer).get(at("picture", attachment))["Content-Disposition"].startswith("attachment")

    @pytest.mark.parametrize("name", ["change", "file", "picture"])
    def test_strangers_and_nobody_get_nothing(self, outsider, viewer, workspace, attach, client, name):
        attachment = attach("a.png")
        assert browser(outsider).get(at(name, attachment)).status_code == 404
        assert client.get(at(name, attachment)).status_code == 302
        assert browser(viewer).post(at(name, attachment)).status_code == 405
        assert browser(viewer).get(at(name, Attachment(pk=uuid4()))).status_code == 404
        delete_attachments(workspace.id, [attachment.id])
        assert browser(viewer).get(at(name, attachment)).status_code == 404


class TestContent:
    @pytest.mark.parametrize("path", PICTURES)
    def test_a_raster_picture_is_shown_as_what_its_bytes_say(self, viewer, attach, path):
        content, kind = PICTURES[path]
        response = browser(viewer).get(at("picture", attach(path, content)))
        assert body(response) == content
        assert response["Content-Type"] == kind
        assert response["Content-Disposition"].startswith("inline")
        self.assert_safe(response)

    @pytest.mark.parametrize("path", NO_PICTURES)
    @pytest.mark.parametrize("name", ["picture", "file"])
    def test_everything_else_is_a_download_of_no_kind_that_runs(self, viewer, attach, path, name):
        response = browser(viewer).get(at(name, attach(path, NO_PICTURES[path])))
        assert body(response) == NO_PICTURES[path]
        assert response["Content-Disposition"].startswith("attachment")
        assert not re.search("html|xml|svg|script", response["Content-Type"])
        self.assert_safe(response)

    def assert_safe(self, response):
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert response["Cross-Origin-Resource-Policy"] == "same-origin"

    def test_a_picture_is_sent_once_and_asked_for_again(self, viewer, outsider, attach):
        attachment = attach("a.png")
        first = browser(viewer).get(at("picture", attachment))
        assert first["Cache-Control"] == "private, no-cache"
        again = {"If-None-Match": first["ETag"]}
        assert browser(viewer).get(at("picture", attachment), headers=again).status_code == 304
        assert browser(outsider).get(at("picture", attachment), headers=again).status_code == 404
        attach("a.png", b"\xff\xd8\xff other")
        assert browser(viewer).get(at("picture", attachment), headers=again).status_code == 200

    @pytest.mark.parametrize("name", ["picture", "file"])
    def test_lost_content_is_told(self, viewer, attach, name):
        attachment = attach("a.png")
        attachment.file.storage.delete(attachment.file.name)
        assert browser(viewer).get(at(name, attachment)).status_code == 404

    def test_a_storage_that_is_away_is_told(self, viewer, bucket, attach):
        attachment = attach("a.png")
        bucket.stop()
        shown = browser(viewer).get(at("file", attachment), follow=True)
        assert shown.redirect_chain == [(at("change", attachment), 302)]
        assert "doctor" in html(shown)
        picture = browser(viewer).get(at("picture", attachment))
        assert (picture.status_code, picture["Content-Type"]) == (502, "text/plain; charset=utf-8")
        assert "doctor" in picture.content.decode()


class TestInNotes:
    def shown(self, note):
        return render_preview(with_addresses(note.body, note))

    @pytest.mark.parametrize(
        "embed", ["![[Logo.png]]", "![Logo.png](img/logo.png)", "![[img/logo.png|300x20]]", "![Logo](<img/logo.png>)"]
    )
    def test_an_embedded_picture_is_shown_from_our_own_address(self, attach, make_note, embed):
        logo = attach("img/logo.png")
        shown = self.shown(make_note("N", path="n.md", body=f"See {embed}!"))
        assert re.fullmatch(
            rf'<p>See <img src="{at("picture", logo)}" alt="(img/)?logo(.png)?" loading="lazy">!</p>\n', shown, re.I
        )

    def test_a_picture_may_be_a_link(self, attach, make_note):
        logo, other = attach("logo.png"), make_note("Other", path="o.md")
        shown = self.shown(make_note("N", path="n.md", body="[![Home](logo.png)](o.md#top)"))
        assert f'<a href="{url("change", other)}#top"' in shown
        assert f'><img src="{at("picture", logo)}" alt="Home" loading="lazy"></a>' in shown

    @pytest.mark.parametrize("link", ["![[a.pdf]]", "[[a.pdf|a.pdf]]", "![a.pdf](a.pdf)", "[a.pdf](<a.pdf>)"])
    def test_other_files_are_links_to_their_pages(self, attach, make_note, link):
        attachment = attach("a.pdf", b"%PDF")
        shown = self.shown(make_note("N", path="n.md", body=link))
        assert shown == f'<p><a href="{at("change", attachment)}" rel="nofollow noopener noreferrer">a.pdf</a></p>\n'

    @pytest.mark.parametrize(
        "embed",
        ["![x](https://evil.example/a.png)", "![x](//evil.example/a.png)", "![x](data:image/png;base64,AAAA)",
         "![x](missing.png)", "![x](theirs.png)", "![x](a.svg)", "<img src='a.png'>", "![x](/admin/logout/)",
         "![x](https://evil.example/admin/notes/attachment/01234567-0123-0123-0123-0123456789ab/picture/)",
         "![x](/admin/notes/attachment/01234567-0123-0123-0123-0123456789ab/picture/?x)"],
    )  # fmt: skip
    def test_nothing_else_is_loaded(self, attach, make_note, outsider, embed):
        attach("a.png")
        attach("a.svg", SVG)
        attach("theirs.png", into=outsider.memberships.get().workspace)
        assert "<img" not in self.shown(make_note("N", path="n.md", body=embed))

    def test_the_page_of_a_note_shows_its_pictures_and_lists_its_files(self, viewer, attach, make_note):
        logo, plan = attach("logo.png"), attach("plan.pdf", b"%PDF")
        page = html(browser(viewer).get(url("change", make_note("N", body="![[logo.png]] [[plan.pdf]] [[nothing]]"))))
        assert f'<img src="{at("picture", logo)}"' in page
        assert page.count(at("change", plan)) == 2
        assert page.count("leads nowhere") == 1

    def test_a_note_with_many_files_takes_as_many_queries(self, viewer, attach, make_note, connection_queries):
        attach("0.png")
        few, many = make_note("Few", body="![[0.png]]"), " ".join(f"![[{n}.png]] [[{n}.pdf]]" for n in range(9))
        for number in range(9):
            attach(f"{number}.png")
            attach(f"{number}.pdf", b"%PDF")
        note = make_note("Many", body=many)
        client = browser(viewer)
        client.get(url("change", few))
        assert connection_queries(lambda: client.get(url("change", note))) == connection_queries(
            lambda: client.get(url("change", few))
        )
