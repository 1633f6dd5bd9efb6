"""What a card shows when asked for more, conflicts of each kind, and what its forms tell of how it was decided."""

import gzip
import io
import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlencode

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse

from kjxlkj.notes.attachments import content_of, save_attachments
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Attachment
from kjxlkj.notes.services import NewNote, create_note, update_note
from librarian.merge import OR, PRESENT, PROPOSED
from librarian.models import Operation
from librarian.services import Decision, review
from librarian.templatetags.cards import changed
from tests.librarian.conftest import op
from tests.librarian.test_review_pages import DECIDE, HTMX, QUEUE, UNDO, XSS, browser, html, markup_faults


def address(name, operation, **query):
    url = reverse(f"admin:review_{name}", args=[operation.id])
    return f"{url}?{urlencode(query)}" if query else url


@pytest.fixture
def rewrite(propose, notes):
    (operation,) = propose(op("rewrite_note", notes["beta"], body_markdown="# Beta\n\nSomething here.\n\nMore.\n"))
    return operation


@pytest.fixture
def changed_since(rewrite, notes, owner):
    """The rewrite, after a person has changed the same line and another."""
    update_note(notes["beta"], base_version=1, cause=by(owner), body="# Beta!\n\nNobody here.\n")
    return rewrite


class TestWholeNote:
    @pytest.mark.parametrize("role", ["owner", "editor", "viewer", "superuser"])
    def test_is_shown_as_it_is_now_to_all_who_may_read(self, role, rewrite, request):
        page = html(browser(request.getfixturevalue(role)).get(address("note", rewrite)))
        assert "<p>Nothing here.</p>" in page
        assert "<html" in page

    def test_shows_its_pictures_from_our_own_address(
        self, editor, rewrite, notes, owner, workspace, settings, tmp_path
    ):
        settings.MEDIA_ROOT = tmp_path
        save_attachments(workspace.id, [("pic.png", content_of(lambda: io.BytesIO(b"x")))])
        update_note(notes["beta"], base_version=1, cause=by(owner), body="![[pic.png]]")
        picture = reverse("admin:notes_attachment_picture", args=[Attachment.objects.get().pk])
        assert f'<img src="{picture}" alt="pic.png"' in html(browser(editor).get(address("note", rewrite)))
        assert "![[pic.png]]" in html(browser(editor).get(address("note", rewrite, **{"as": "source"})))

    def test_comes_as_source_too_and_alone_to_scripts(self, editor, rewrite):
        part = html(browser(editor).get(address("note", rewrite, **{"as": "source"}), headers=HTMX))
        assert "# Beta\n\nNothing here." in part
        assert "<html" not in part

    def test_is_not_there_for_outsiders_nor_for_a_note_that_is_not(self, outsider, editor, rewrite, propose):
        (new,) = propose(op("create_note", target_path="new.md", title="New", body_markdown="x"))
        assert browser(outsider).get(address("note", rewrite)).status_code == 404
        assert browser(editor).get(address("note", new)).status_code == 409

    def test_a_long_one_is_cut_and_says_so(self, editor, propose, workspace, owner, notes):
        update_note(notes["beta"], base_version=1, cause=by(owner), body="word " * 20_000 + "Last words")
        (operation,) = propose(op("retag_note", notes["beta"], tags=("x",)))
        page = html(browser(editor).get(address("note", operation)))
        assert "Only its beginning is shown" in page
        assert "Last words" not in page

    def test_its_front_matter_stands_on_the_card(self, editor, propose, notes, owner):
        front_matter = "---\nlibrarian: local\naliases: [B, Bee]\nauthor: X\n---\n"
        update_note(notes["beta"], base_version=1, cause=by(owner), front_matter=front_matter)
        notes["beta"].refresh_from_db()
        propose(op("retag_note", notes["beta"], tags=("x",)))
        line = re.search(r'<li class="front-matter-line">(.*?)</li>', html(browser(editor).get(QUEUE)))[1]
        assert re.sub(r"<[^>]+>", "", line) == "Front matter: librarian local; aliases B, Bee and 1 more"

    def test_a_note_without_front_matter_has_no_such_line(self, editor, rewrite):
        assert "front-matter-line" not in html(browser(editor).get(QUEUE))


class TestSideBySide:
    def test_stands_in_two_columns(self, viewer, rewrite):
        page = html(browser(viewer).get(address("side", rewrite), headers=HTMX))
        rows = re.findall(r"<td[^>]*>(.*?)</td><td[^>]*>(.*?)</td>", page, re.S)
        told = [tuple(re.sub(r"\n|</?ins>|</?del>", "", cell) for cell in row) for row in rows]
        assert told == [("# Beta", "# Beta"), ("", ""), ("Nothing here.", "Something here."), ("", "↵"), ("", "More.")]
        assert "<del>Nothing</del> here" in page
        assert "<ins>Something</ins> here" in page

    def test_is_for_texts_and_members_alone(self, editor, outsider, rewrite, propose, notes):
        (retag,) = propose(op("retag_note", notes["alpha"], tags=("x",)))
        assert browser(editor).get(address("side", retag)).status_code == 409
        assert browser(outsider).get(address("side", rewrite)).status_code == 404

    def test_without_a_script_a_link_puts_the_page_into_that_shape_and_back(self, editor, rewrite):
        client = browser(editor)
        url = address("operation", rewrite)
        assert 'class="diff side"' not in html(client.get(url))
        assert f'href="{url}?diff=side"' in html(client.get(url))
        page = html(client.get(url, {"diff": "side"}))
        assert 'class="diff side"' in page
        assert f'<a href="{url}" data-side' in page

    def test_white_space_that_comes_or_goes_has_a_face(self, editor, propose, notes, owner):
        update_note(notes["beta"], base_version=1, cause=by(owner), body="one two\n\tthree four\r\nend")
        notes["beta"].refresh_from_db()
        (operation,) = propose(op("rewrite_note", notes["beta"], body_markdown="one\u00a0two\n  three four\nend\n"))
        page = html(browser(editor).get(address("operation", operation)))
        assert "Only white space changes." in page
        for seen in ("<del>·</del><ins>⍽</ins>", "⇥\t</del>", "··</ins>", "<ins>␍↵\n</ins>"):
            assert seen in page
        # A proposal keeps the line ends of its note; a person's own text may not.
        assert changed("delete", "\r") == "<del>␍</del>"


class TestThreeVersions:
    def test_stand_beside_each_other_each_with_what_differs_from_the_first(self, viewer, changed_since):
        page = html(browser(viewer).get(address("versions", changed_since)))
        base, now, proposed = page.split('<div class="version">')[1:]
        assert "Nothing here." in base
        assert "<del>Nothing</del><ins>Nobody</ins>" in now
        assert "<del>Nothing</del><ins>Something</ins>" in proposed

    def test_are_there_only_where_a_text_was_changed_since(self, editor, outsider, rewrite, propose, notes, owner):
        (retag,) = propose(op("retag_note", notes["alpha"], tags=("x",)))
        update_note(notes["alpha"], base_version=1, cause=by(owner), tags=["y"])
        assert browser(editor).get(address("versions", rewrite)).status_code == 409
        assert browser(editor).get(address("versions", retag)).status_code == 409
        assert browser(outsider).get(address("versions", rewrite)).status_code == 404

    def test_the_card_leads_to_them(self, editor, changed_since):
        page = html(browser(editor).get(address("operation", changed_since)))
        assert f'href="{address("versions", changed_since)}"' in page
        assert 'value="apply"' not in page

    def test_the_editor_begins_with_both_put_together(self, editor, changed_since):
        page = html(browser(editor).get(address("edit", changed_since)))
        text = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page, re.S)[1].replace("&lt;", "<").replace("&gt;", ">")
        assert text == f"# Beta!\n\n{PRESENT}\nNobody here.\n{OR}\nSomething here.\n\nMore.\n{PROPOSED}\n"
        assert "1 place that both changed stands" in re.sub(r"\s+", " ", page)

    def decide(self, user, operation, text, version="2"):
        data = {"operation": str(operation.id), "decision": "apply", "edit": "1", "base_version": version}
        return html(browser(user).post(DECIDE, data | {"body_markdown": text}, headers=HTMX))

    def test_markers_are_not_saved_and_the_text_stays_as_typed(self, editor, changed_since, notes):
        page = self.decide(editor, changed_since, f"Mine\n{OR}\n")
        assert "line 2 is still" in page
        assert "Mine\n=======" in page
        notes["beta"].refresh_from_db()
        assert notes["beta"].version == 2

    def test_markers_are_refused_by_the_api_with_their_code(self, client_for, editor, changed_since):
        decision = {"operation_id": str(changed_since.id), "decision": "apply", "base_version": 2}
        decision["edits"] = {"body_markdown": f"{PRESENT}\n"}
        url = f"/api/automation/runs/{changed_since.run_id}/review"
        (result,) = client_for(editor).post(url, {"decisions": [decision]}, format="json").json()["results"]
        assert (result["status"], result["code"]) == ("pending", "CONFLICT_MARKERS")

    def test_what_was_edited_into_shape_is_saved_for_the_present_version(self, editor, changed_since, notes):
        assert "Accepted with edits" in self.decide(editor, changed_since, "# Beta!\n\nSomebody here.\n")
        notes["beta"].refresh_from_db()
        assert (notes["beta"].version, notes["beta"].body) == (3, "# Beta!\n\nSomebody here.\n")

    def test_a_note_that_moved_on_once_more_is_told_with_the_new_difference(self, editor, owner, changed_since, notes):
        notes["beta"].refresh_from_db()
        update_note(notes["beta"], base_version=2, cause=by(owner), body="# Gamma\n")
        page = self.decide(editor, changed_since, "# Mine\n")
        assert "has changed since" in page
        assert "# Mine" in page
        assert 'name="base_version" value="3"' in page


@pytest.mark.parametrize(
    ("kind", "proposal", "theirs", "shown", "after"),
    [
        (
            "retag_note",
            {"tags": ("one", "two")},
            {"tags": ["one", "mine"]},
            "two</li>",
            {"tags": ["mine", "one", "two"]},
        ),
        ("retitle_note", {"title": "Omega"}, {"title": "Mine"}, "</span>Mine</del>", {"title": "Omega"}),
        (
            "relink_note",
            {"links": [("Beta", "Beta")]},
            {"body": "Now Alpha talks of Beta alone.\n"},
            "</span>Beta</ins> alone.",
            {"body": "Now Alpha talks of [[Beta]] alone.\n"},
        ),
    ],
)
def test_links_tags_and_titles_are_offered_for_the_present_note(
    editor, owner, propose, notes, kind, proposal, theirs, shown, after
):
    (operation,) = propose(op(kind, notes["alpha"], **proposal))
    update_note(notes["alpha"], base_version=1, cause=by(owner), **theirs)
    client = browser(editor)
    answer = html(client.post(DECIDE, {"operation": str(operation.id), "decision": "apply"}, headers=HTMX))
    assert "carried over to the present text" in answer
    assert "Accept for the present text" in answer
    assert shown in answer
    data = {"operation": str(operation.id), "decision": "apply", "base_version": "2"}
    assert "Accepted" in html(client.post(DECIDE, data, headers=HTMX))
    notes["alpha"].refresh_from_db()
    assert {name: getattr(notes["alpha"], name) for name in after} == after


class TestUndoOfRejections:
    def test_what_a_person_rejected_can_be_put_back_from_its_card(self, editor, rewrite):
        review([Decision(rewrite.id, "reject", "no")], actor=editor)
        client = browser(editor)
        assert "data-undo" in html(client.get(address("operation", rewrite)))
        answer = html(client.post(UNDO, {"operation": str(rewrite.id)}, headers=HTMX))
        assert "Waits again: rewrite, docs/beta.md." in answer
        assert "data-pending" in answer
        rewrite.refresh_from_db()
        assert rewrite.status == "pending"

    def test_what_a_check_rejected_cannot(self, editor, propose, notes):
        (refused,) = propose(op("retag_note", notes["alpha"], tags=("one",)))
        assert "data-undo" not in html(browser(editor).get(address("operation", refused)))


class TestHowItWasDecided:
    def decide(self, user, operation, **fields):
        return browser(user).post(DECIDE, {"operation": str(operation.id), "decision": "apply", **fields}, headers=HTMX)

    def test_is_kept_as_the_form_tells(self, editor, rewrite):
        self.decide(editor, rewrite, via="key", seconds="7.5")
        rewrite.refresh_from_db()
        assert rewrite.via == "key"
        assert (rewrite.decided_at - rewrite.shown_at).total_seconds() == pytest.approx(7.5, abs=2)

    def test_is_kept_of_edits_too(self, editor, rewrite):
        self.decide(editor, rewrite, via="click", seconds="3", edit="1", base_version="1", body_markdown="Mine\n")
        rewrite.refresh_from_db()
        assert (rewrite.via, rewrite.edited, rewrite.shown_at is not None) == ("click", True, True)

    def test_without_a_script_the_time_is_not_known(self, editor, rewrite):
        self.decide(editor, rewrite, via="click", seconds="")
        rewrite.refresh_from_db()
        assert (rewrite.via, rewrite.shown_at) == ("click", None)

    @pytest.mark.parametrize("fields", [{"via": "api"}, {"via": "bulk"}, {"seconds": "soon"}])
    def test_nonsense_does_nothing(self, editor, rewrite, fields):
        assert self.decide(editor, rewrite, **fields).status_code == 400
        rewrite.refresh_from_db()
        assert rewrite.status == "pending"

    def test_is_not_asked_for_where_it_is_not_measured(self, editor, rewrite, settings):
        assert 'name="seconds"' in html(browser(editor).get(address("operation", rewrite)))
        settings.REVIEW_TIMES = False
        page = html(browser(editor).get(address("operation", rewrite)))
        assert 'name="seconds"' not in page
        assert 'name="via"' not in page


def test_nothing_gets_out_of_its_text(owner, workspace, run, notes):
    bad = create_note(
        workspace, NewNote(XSS, f"{XSS}\n", front_matter=f"---\naliases: ['{XSS[:60]}']\n---\n"), cause=by(owner)
    )
    operation = Operation.objects.create(
        workspace=workspace,
        run=run,
        index=50,
        operation_id="x",
        kind="rewrite_note",
        target_note=bad,
        body_markdown=f"Other {XSS}\n",
        reason=XSS,
        confidence=0.5,
        base_version=1,
        fingerprint="x",
    )
    update_note(bad, base_version=1, cause=by(owner), body=f"Changed {XSS}\n")
    client = browser(owner)
    for url in (
        *(address(name, operation) for name in ("operation", "edit", "note", "side", "versions")),
        address("note", operation, **{"as": "source"}),
        address("operation", operation, diff='side"><script>alert(1)</script>'),
    ):
        page = html(client.get(url))
        assert "alert(1)" in page
        assert markup_faults(page) == [], url


# --- Weight -----------------------------------------------------------------------------------------


def static_files(page):
    """The scripts and style sheets of a page, with the modules that its modules import."""
    found = [*re.findall(r'(?:src|href)="/static/([^"]+\.(?:js|css))"', page)]
    for name in found:
        text = Path(finders.find(name)).read_text()
        near = re.findall(r'(?:from|import) "\./([^"]+)"', text) if name.endswith(".js") else []
        near += re.findall(r'@import url\("?([^")]+)"?\)', text) if name.endswith(".css") else []
        found += [each for n in near if (each := str(PurePosixPath(name).parent / n)) not in found]
    return found


def test_scripts_and_styles_of_the_queue_weigh_less_than_80_kb_compressed(owner, rewrite):
    files = static_files(html(browser(owner).get(QUEUE)))
    assert {"kjxlkj/review/page.js", "kjxlkj/review/keys.js", "django_htmx/htmx-2.min.js"} <= set(files)
    weight = sum(len(gzip.compress(Path(finders.find(name)).read_bytes(), 6)) for name in files)
    assert weight < 80_000


class TestLongTexts:
    """Of the largest ones a card shows what somebody may read, and says that there is more."""

    def test_the_preview_of_a_long_new_note_is_cut(self, editor, propose):
        (operation,) = propose(op("create_note", target_path="new.md", title="New", body_markdown="Words.\n\n" * 9_000))
        page = html(browser(editor).get(address("change", operation)))
        assert "Only the beginning of the text is shown here." in page
        assert page.count("Words.") < 8_000

    def test_two_columns_end_after_some_thousand_rows(self, editor, propose, notes):
        (operation,) = propose(op("rewrite_note", notes["gamma"], body_markdown="a\n" * 9_000))
        page = html(browser(editor).get(address("side", operation), headers=HTMX))
        assert page.count("<tr") < 6_000
        assert "The rest is left out here." in page


def test_a_proposal_saved_as_it_is_counts_as_accepted_whatever_the_line_ends_of_its_note(editor, propose, notes, owner):
    update_note(notes["gamma"], base_version=1, cause=by(owner), body="Plans.\r\n")
    (operation,) = propose(op("rewrite_note", notes["gamma"], body_markdown="Plans and more.\n"))
    fields = {"operation": operation.id, "edit": "1", "decision": "apply", "body_markdown": "Plans and more.\r\n"}
    browser(editor).post(DECIDE, fields)
    operation.refresh_from_db()
    assert (operation.status, operation.edited) == ("applied", False)
