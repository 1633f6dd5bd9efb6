"""Notes in the admin: lists by membership, search, editing with conflicts, history, files."""

import re
import tracemalloc
from uuid import uuid4

import pgtrigger
import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Attachment, Note
from kjxlkj.notes.services import NewNote, create_notes, delete_note, update_note

LIST = "/admin/notes/note/"


def browser(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def html(response):
    return response.content.decode()


def url(name, note, *more):
    return reverse(f"admin:notes_note_{name}", args=[note.pk, *more])


@pytest.fixture
def note(make_note):
    return make_note("Harbour", path="a/harbour.md", body="Boats and berths.\n", tags=["sea"])


class TestList:
    @pytest.mark.parametrize("role", ["owner", "admin", "editor", "viewer", "superuser"])
    def test_members_see_their_notes(self, role, note, request):
        assert "a/harbour.md" in html(browser(request.getfixturevalue(role)).get(LIST))

    def test_outsiders_do_not(self, outsider, note):
        assert "a/harbour.md" not in html(browser(outsider).get(LIST))
        assert browser(outsider).get(url("change", note)).status_code == 404

    def test_search_is_full_text_with_the_words_marked(self, owner, note, make_note):
        make_note("Other", body="Nothing of that.")
        page = html(browser(owner).get(LIST, {"q": "berth"}))
        assert "<mark>berths</mark>" in page
        assert "1 result" in page

    @pytest.mark.parametrize("odd", ["\0", "'\"--", "a & | !", "x" * 3000])
    def test_odd_searches_find_nothing_and_break_nothing(self, owner, note, odd):
        assert browser(owner).get(LIST, {"q": odd}).status_code in {200, 302}

    @pytest.mark.parametrize("name", ["tag", "folder", "untagged", "workspace", "path__startswith"])
    @pytest.mark.parametrize("odd", ["\0", " ", "#", "x" * 3000])
    def test_odd_filters_break_nothing(self, owner, note, name, odd):
        assert browser(owner).get(LIST, {name: odd}).status_code in {200, 302, 400}

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({"folder": "a"}, True),
            ({"folder": "b"}, False),
            ({"tag": "sea"}, True),
            ({"tag": "land"}, False),
            ({"untagged": "true"}, False),
            ({"workspace": "team"}, True),
            ({"workspace": "elsewhere"}, False),
            ({"deleted": "1"}, False),
        ],
    )
    def test_filters(self, owner, note, filters, found):
        assert ("a/harbour.md" in html(browser(owner).get(LIST, filters))) == found

    def test_deleted_notes_have_a_list_of_their_own(self, owner, note):
        delete_note(note, base_version=1, cause=by(owner))
        assert "a/harbour.md" not in html(browser(owner).get(LIST))
        assert "a/harbour.md" in html(browser(owner).get(LIST, {"deleted": "1"}))

    @pytest.mark.parametrize("query", [{}, {"q": "word"}])
    def test_the_number_of_queries_does_not_grow(self, owner, workspace, connection_queries, query):
        client = browser(owner)

        def fill(count):
            create_notes(workspace, [NewNote("word", "word", f"{uuid4()}.md") for _ in range(count)], cause=by(owner))

        fill(3)
        few = connection_queries(lambda: client.get(LIST, query))
        fill(30)
        assert connection_queries(lambda: client.get(LIST, query)) == few

    def test_no_bodies_are_loaded(self, owner, note):
        with CaptureQueriesContext(connection) as queries:
            assert "a/harbour.md" in html(browser(owner).get(LIST))
        assert not any('"notes_note"."body"' in each["sql"] for each in queries.captured_queries)


class TestReading:
    def test_shows_text_tags_links_and_history(self, viewer, note, make_note, owner):
        other = make_note("Other", body="See [[Harbour]] and [[Nowhere]].")
        update_note(note, base_version=1, cause=by(owner, "better"), body="**Bold** [[Other]]\n")
        page = html(browser(viewer).get(url("change", note)))
        assert "<strong>Bold</strong>" in page
        assert f'<a href="/admin/notes/note/{other.pk}/change/" rel="nofollow noopener noreferrer">Other</a>' in page
        assert page.count(f"/admin/notes/note/{other.pk}/change/") == 3
        assert "better" in page
        assert "Version 2" in page
        assert "leads nowhere" in html(browser(viewer).get(url("change", other)))

    def test_links_in_code_and_to_nowhere_stay_text(self, viewer, note, owner):
        body = "`[[Harbour]]` [[Nowhere]] [[Harbour|<b>x</b>]]\n"
        update_note(note, base_version=1, cause=by(owner), body=body)
        page = html(browser(viewer).get(url("change", note)))
        assert "<code>[[Harbour]]</code> [[Nowhere]] " in page
        assert ">&lt;b&gt;x&lt;/b&gt;</a>" in page

    def test_a_very_long_text_is_cut_and_says_so(self, viewer, note, owner):
        update_note(note, base_version=1, cause=by(owner), body="word " * 30_000)
        page = html(browser(viewer).get(url("change", note)))
        assert "The text goes on" in page
        assert page.count("word ") < 11_000

    def test_the_number_of_queries_does_not_grow(self, owner, note, make_note, connection_queries):
        client = browser(owner)
        few = connection_queries(lambda: client.get(url("change", note)))
        for i in range(5):
            make_note(f"L{i}", body="[[Harbour]]")
            update_note(note, base_version=i + 1, cause=by(owner), body=f"[[L{i}]] [[L0]]")
        assert connection_queries(lambda: client.get(url("change", note))) == few

    def test_a_version_shows_what_it_changed(self, viewer, note, owner):
        update_note(note, base_version=1, cause=by(owner), body="Boats and piers.\n", tags=["pier"], title="Port")
        page = html(browser(viewer).get(url("version", note, 2)))
        assert "<del>berths</del><ins>piers</ins>" in page
        assert "chip added" in page
        assert "Port</ins>" in page
        assert browser(viewer).get(url("version", note, 3)).status_code == 404


class TestWriting:
    def form(self, **fields):
        return {"title": "Harbour", "path": "a/harbour.md", "tags": "sea", "body": "New\r\ntext\r\n", **fields}

    def test_saving_is_a_version_by_the_person(self, editor, note):
        assert (
            browser(editor).post(url("edit", note), self.form(base_version="1", tags="Sea, Big Boat")).status_code
            == 302
        )
        note.refresh_from_db()
        assert (note.body, note.tags, note.version) == ("New\ntext\n", ["big-boat", "sea"], 2)
        assert note.history.get(seq=2).actor == editor

    def test_crlf_of_the_note_stays(self, editor, make_note):
        note = make_note("C", path="c.md", body="one\r\ntwo\r\n")
        browser(editor).post(
            url("edit", note), self.form(title="C", path="c.md", base_version="1", body="one\r\nthree\r\n")
        )
        note.refresh_from_db()
        assert note.body == "one\r\nthree\r\n"

    @pytest.mark.parametrize("body", ["one\r\ntwo\nthree\n", "one\rtwo\n", "one\r\ntwo\r\n", "\none\n \n\n"])
    def test_a_text_that_was_not_touched_stays_to_the_byte(self, editor, make_note, body):
        note = make_note("C", path="c.md", body=body)
        sent = body.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")  # as browsers do
        browser(editor).post(url("edit", note), self.form(title="C", path="c.md", base_version="1", body=sent))
        note.refresh_from_db()
        assert (note.tags, note.body) == (["sea"], body)
        assert note.history.get(seq=2).changed == ["tags"]

    def test_spaces_around_a_path_stay(self, editor, make_note):
        note = make_note("C", path=" c.md", body="x")
        form = self.form(title="C", path=" c.md", base_version="1", body="y")
        browser(editor).post(url("edit", note), form)
        note.refresh_from_db()
        assert (note.path, note.body) == (" c.md", "y")

    def test_a_conflict_keeps_what_was_typed_and_shows_the_present_text(self, editor, note, owner):
        update_note(note, base_version=1, cause=by(owner), body="Theirs.\n")
        page = html(browser(editor).post(url("edit", note), self.form(base_version="1", body="Mine.\n")))
        assert "changed while you were typing" in page
        assert "Mine." in page
        assert "<ins>Theirs</ins>" in page
        assert "<del>Theirs</del><ins>Mine</ins>" in page
        assert 'name="base_version" value="2"' in page
        note.refresh_from_db()
        assert note.body == "Theirs.\n"

    def test_a_conflict_tells_what_others_changed_in_every_field_who_and_when(self, editor, note, owner):
        values = {"title": "Port", "tags": ["pier"], "path": "b/port.md", "front_matter": "---\na: 1\n---\n"}
        update_note(note, base_version=1, cause=by(owner, "Renamed"), **values)
        page = html(
            browser(editor).post(url("edit", note), self.form(base_version="1", title="Dock", tags="sea, dock"))
        )
        theirs, mine = page.split('id="theirs-title"')[1].split('id="mine-title"')
        for shown in ("written by Owner", "<time", "Renamed", "Port</ins>", "b/port.md</ins>", "a: 1", ">pier<"):
            assert shown in theirs
        for shown in ("Port</del>", "Dock</ins>", "added: </span>dock", "removed: </span>pier", "<ins>New"):
            assert shown in mine
        assert 'value="Dock"' in mine
        assert "sea, dock" in mine
        assert "New\r\ntext" in mine.replace("\n", "\r\n")

    def test_after_a_conflict_fields_that_were_left_alone_keep_what_others_wrote(self, editor, note, owner):
        update_note(note, base_version=1, cause=by(owner), title="Port", tags=["pier"], path="b/port.md")
        client = browser(editor)
        page = html(client.post(url("edit", note), self.form(base_version="1")))
        form = dict(re.findall(r'<input type="(?:text|hidden)" name="(title|path|base_version)" value="([^"]*)"', page))
        assert form == {"title": "Port", "path": "b/port.md", "base_version": "2"}
        assert re.search(r'<textarea name="tags"[^>]*>\s*pier</textarea>', page)
        client.post(url("edit", note), self.form(**form, tags="pier"))
        note.refresh_from_db()
        assert (note.title, note.tags, note.path, note.body) == ("Port", ["pier"], "b/port.md", "New\ntext\n")

    def test_what_was_typed_stays_when_the_note_is_deleted_meanwhile(self, editor, note, owner):
        delete_note(note, base_version=1, cause=by(owner))
        page = html(browser(editor).post(url("edit", note), self.form(base_version="1", body="Mine.\n")))
        assert re.search(r"<span>deleted</span>\s*<span class=\"quiet\">\s*written by Owner", page)
        page = html(browser(editor).post(url("edit", note), self.form(base_version="2", body="Mine.\n")))
        assert "Restore it first" in page
        assert "Mine." in page

    @pytest.mark.parametrize("base_version", ["0", "-1", "x", "", "99", "9" * 30])
    def test_a_version_that_never_was_loses_no_text_and_writes_nothing(self, editor, note, base_version):
        page = html(browser(editor).post(url("edit", note), self.form(base_version=base_version, body="Mine.\n")))
        assert "Mine." in page
        note.refresh_from_db()
        assert note.version == 1

    def test_a_taken_path_is_told_beside_the_field(self, editor, note, make_note):
        make_note("Other", path="taken.md")
        page = html(browser(editor).post(url("edit", note), self.form(base_version="1", path="taken.md")))
        assert "another note has this path" in page

    def test_a_new_note(self, editor, outsider, workspace):
        add = "/admin/notes/note/add/"
        browser(editor).post(add, self.form(workspace="team", base_version="1"))
        assert Note.objects.get().workspace == workspace
        browser(outsider).post(add, self.form(workspace="team", base_version="1", path="x.md"))
        assert Note.objects.count() == 1

    def test_delete_restore_and_roll_back(self, editor, note):
        client = browser(editor)
        client.post(url("delete", note), {"base_version": "1"})
        note.refresh_from_db()
        assert note.deleted_at
        client.post(url("restore", note), {"base_version": "2"})
        update_note(note, base_version=3, cause=by(editor), body="Worse.")
        client.post(url("rollback", note), {"base_version": "4", "to_version": "1"})
        note.refresh_from_db()
        assert (note.body, note.version, note.deleted_at) == ("Boats and berths.\n", 5, None)
        assert note.history.get(seq=5).cause == "rollback"

    @pytest.mark.parametrize("page", ["edit", "delete", "restore", "rollback"])
    @pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("outsider", 404)])
    def test_others_may_not(self, page, role, status, note, request):
        client = browser(request.getfixturevalue(role))
        assert client.post(url(page, note), self.form(base_version="1", to_version="1")).status_code == status
        note.refresh_from_db()
        assert note.version == 1

    @pytest.mark.parametrize("page", ["delete", "restore", "rollback"])
    def test_a_get_changes_nothing(self, page, owner, note):
        assert browser(owner).get(url(page, note)).status_code == 405


FIRST = {"title": "Harbour", "path": "a/harbour.md", "body": "Boats and berths.\n", "tags": ["sea"]}


class TestVersions:
    @pytest.fixture
    def written(self, note, owner):
        """A note with five versions; the third and the fourth change other fields than the second."""
        update_note(note, base_version=1, cause=by(owner, "For clarity"), body="Boats and piers.\n")
        update_note(note, base_version=2, cause=by(owner), title="Port", tags=["pier"], path="b/port.md")
        update_note(note, base_version=3, cause=by(owner), front_matter="---\nstatus: done\n---\n")
        update_note(note, base_version=4, cause=by(owner), body="Boats  and\npiers.\n")
        note.refresh_from_db()
        return note

    def test_the_last_two_are_compared_unless_others_are_asked_for(self, viewer, written):
        page = html(browser(viewer).get(url("compare", written)))
        assert "Only white space changes." in page
        assert re.search(r'name="old" value="4"', page)
        assert re.search(r'name="new" value="5"', page)
        assert re.findall(r'<option value="(\d)">[^<]+, Owner</option>', page) == ["5", "4", "3", "2", "1"]

    def test_any_two_differ_in_every_field(self, viewer, written):
        page = html(browser(viewer).get(url("compare", written), {"old": "1", "new": "4"}))
        for shown in ("Harbour</del>", "Port</ins>", "a/harbour.md</del>", "b/port.md</ins>", "removed: </span>sea",
                      "added: </span>pier", "<ins>---\nstatus: done\n---\n</ins>",
                      "<del>berths</del><ins>piers</ins>"):  # fmt: skip
            assert shown in page
        assert "For clarity" in page
        assert re.findall(r"/version/(\d+)/", page) == ["4", "3", "2"]

    def test_the_other_way_round_is_what_a_rollback_would_change(self, viewer, written):
        page = html(browser(viewer).get(url("compare", written), {"old": "4", "new": "1"}))
        assert "Harbour</ins>" in page
        assert "<ins>berths</ins>" in page

    def test_one_version_does_not_differ_from_itself(self, viewer, note):
        assert "Nothing." in html(browser(viewer).get(url("compare", note)))

    @pytest.mark.parametrize("old", ["0", "6", "-1", "x", "", "\0", "9" * 40, "1.5"])
    def test_versions_that_never_were_are_told(self, viewer, written, old):
        response = browser(viewer).get(url("compare", written), {"old": old, "new": "2"})
        assert response.status_code == 400
        assert 'role="alert"' in html(response)

    @pytest.mark.parametrize("version", [0, 6, 10**12])
    def test_there_is_no_page_of_a_version_that_never_was(self, viewer, written, version):
        assert browser(viewer).get(url("version", written, version)).status_code == 404

    def test_strangers_see_none(self, outsider, written):
        assert browser(outsider).get(url("compare", written)).status_code == 404
        assert browser(outsider).get(url("version", written, 2)).status_code == 404

    def test_the_way_back_is_offered_to_those_who_may_write(self, viewer, editor, written):
        asked = {"old": "1", "new": "5"}
        assert "Roll back" not in html(browser(viewer).get(url("compare", written), asked))
        page = html(browser(editor).get(url("compare", written), asked))
        assert re.findall(r'name="to_version" value="(\d+)"', page) == ["1"]
        browser(editor).post(url("rollback", written), {"base_version": "5", "to_version": "1"})
        written.refresh_from_db()
        assert {name: getattr(written, name) for name in FIRST} == FIRST
        page = html(browser(viewer).get(url("change", written)))
        assert "rolled back by Editor" in page
        assert "Back to version 1" in page

    @pytest.mark.parametrize("to_version", ["0", "6", "x", ""])
    def test_there_is_no_way_back_to_a_version_that_never_was(self, editor, written, to_version):
        form = {"base_version": "5", "to_version": to_version}
        assert browser(editor).post(url("rollback", written), form).status_code == 400
        written.refresh_from_db()
        assert written.version == 5

    def test_the_number_of_queries_does_not_grow(self, viewer, note, owner, connection_queries):
        client = browser(viewer)

        def queries():
            pages = [(url("change", note), {}), (url("compare", note), {"old": "1", "new": "2"}),
                     (url("version", note, 2), {})]  # fmt: skip
            return [connection_queries(lambda page=page: client.get(*page)) for page in pages]

        for version in range(1, 4):
            update_note(note, base_version=version, cause=by(owner), body=f"{version}\n", title=f"{version}")
        few = queries()
        for version in range(4, 70):
            update_note(note, base_version=version, cause=by(owner), body=f"{version}\n", tags=[f"t{version}"])
        assert queries() == few

    def test_of_a_thousand_versions_a_few_are_loaded(self, viewer, note):
        """Each of them holds a whole text of 100 kB: all of them would be 100 MB."""
        with pgtrigger.ignore("notes.Note:note_version_adds_one"), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO notes_noteevent (id, note_id, seq, changed, before, cause, reason, request_id, created_at)"
                " SELECT gen_random_uuid(), %s, seq, '{body}', jsonb_build_object('body', seq || repeat(' x', 50000)),"
                " 'person', '', '', now() FROM generate_series(2, 1000) AS seq",
                [note.pk],
            )
            cursor.execute("UPDATE notes_note SET version = 1000 WHERE id = %s", [note.pk])
        client = browser(viewer)
        client.get(url("change", note))
        tracemalloc.start()
        for page, asked in [("change", {}), ("compare", {"old": "1", "new": "900"})]:
            assert client.get(url(page, note), asked).status_code == 200
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10_000_000

    def test_of_two_very_long_texts_the_beginning_of_what_differs_is_shown_and_said_so(self, viewer, note, owner):
        def text(word):
            return "same\n" * 1000 + f"{word} " * 200_000

        update_note(note, base_version=1, cause=by(owner), body=text("old"))
        update_note(note, base_version=2, cause=by(owner), body=text("new"))
        page = html(browser(viewer).get(url("version", note, 3)))
        assert "100,000 characters from the first difference on are compared; the rest is left out" in page
        assert "lines unchanged" in page
        assert len(page) < 300_000


def test_attachments_are_downloads_for_members(viewer, outsider, workspace):
    attachment = Attachment.objects.create(workspace=workspace, path="x/evil.html", sha256="0" * 64, size=8)
    attachment.file.save("evil", ContentFile(b"<script>"))
    where = reverse("admin:notes_attachment_file", args=[attachment.pk])
    response = browser(viewer).get(where)
    assert response["Content-Type"] == "application/octet-stream"
    assert re.search(r'attachment; filename="evil.html"', response["Content-Disposition"])
    assert b"".join(response.streaming_content) == b"<script>"
    assert browser(outsider).get(where).status_code == 404
    assert "x/evil.html" in html(browser(viewer).get("/admin/notes/attachment/"))
    attachment.file.storage.delete(attachment.file.name)
    assert browser(viewer).get(where).status_code == 404
