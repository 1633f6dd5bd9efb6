"""The review pages: who sees what, what forms do, what conflicts look like, and that no text becomes markup."""

import re
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from kjxlkj.notes.cause import by
from kjxlkj.notes.models import NoteLink
from kjxlkj.notes.services import NewNote, create_note, update_note
from kjxlkj.workspaces.services import archive_workspace
from librarian.models import Operation, RunReport
from librarian.queue import PAGE_SIZE
from librarian.services import Decision, apply_by_itself, review
from tests.librarian.conftest import op

QUEUE, DECIDE, UNDO = "/admin/review/", "/admin/review/decide/", "/admin/review/undo/"
HTMX = {"HX-Request": "true"}


def browser(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def html(response):
    return response.content.decode()


def card_count(response):
    return len(re.findall(r'<article class="card', html(response)))


@pytest.fixture
def retag(propose, notes):
    (operation,) = propose(op("retag_note", notes["alpha"], tags=("one", "two")))
    return operation


@pytest.fixture
def many(propose, run, notes, workspace, owner):
    """Pending operations of every kind over as many notes as asked for."""

    def make(count):
        made = []
        start = 1000 + run.operations.count()
        for i in range(count):
            note = create_note(
                workspace, NewNote(f"N{i}", f"Line {i} of Beta.\n", f"many/{uuid4()}.md", tags=["x"]), cause=by(owner)
            )
            kind = ("retag_note", "retitle_note", "relink_note", "rewrite_note")[i % 4]
            made.append(
                Operation(
                    workspace=workspace,
                    run=run,
                    index=start + i,
                    operation_id=f"op{i}",
                    kind=kind,
                    target_note=note,
                    target_path=note.path,
                    title="T",
                    tags=["x", "y"],
                    links=[{"text": "Beta", "target": "Beta"}] if kind == "relink_note" else None,
                    body_markdown="New body\n",
                    reason="r",
                    confidence=0.7,
                    base_version=1,
                    fingerprint=str(uuid4()),
                )
            )
        return Operation.objects.bulk_create(made)

    return make


class TestQueue:
    @pytest.mark.parametrize("role", ["owner", "admin", "editor", "superuser"])
    def test_those_who_may_write_get_buttons(self, role, retag, request):
        page = html(browser(request.getfixturevalue(role)).get(QUEUE))
        assert f"card-{retag.id}" in page
        assert 'value="apply"' in page

    def test_viewers_read_without_buttons(self, viewer, retag):
        page = html(browser(viewer).get(QUEUE))
        assert f"card-{retag.id}" in page
        assert "<form" not in page.split('id="cards"')[1].split('class="pages"')[0]

    def test_outsiders_see_an_empty_queue(self, outsider, retag):
        page = html(browser(outsider).get(QUEUE))
        assert str(retag.id) not in page
        assert "Nothing waits for review" in page

    def test_an_archived_workspace_has_no_buttons(self, owner, workspace, retag):
        archive_workspace(workspace, actor=owner)
        assert 'value="apply"' not in html(browser(owner).get(QUEUE))

    def test_strangers_to_the_site_are_sent_to_the_login(self, client, retag):
        assert client.get(QUEUE).url.startswith("/admin/login/")

    def test_pages_go_on_where_the_last_ended_though_the_queue_shrinks(self, owner, many):
        made = many(PAGE_SIZE + 5)
        client = browser(owner)
        first = client.get(QUEUE)
        assert card_count(first) == PAGE_SIZE
        assert f"1–{PAGE_SIZE} of" in html(first)
        review([Decision(made[0].id, "reject")], actor=owner)
        link = re.search(r'id="next-page" href="([^"]+)"', html(first))[1].replace("&amp;", "&")
        second = client.get(QUEUE + link)
        assert [str(each.id) in html(second) for each in made[PAGE_SIZE:]] == [True] * 5
        assert card_count(second) == 5

    def test_filters_by_workspace_rule_and_kind(self, owner, many, workspace, rule):
        many(8)
        client = browser(owner)
        assert card_count(client.get(QUEUE, {"kind": "retag_note"})) == 2
        assert card_count(client.get(QUEUE, {"rule": str(rule.id), "workspace": "team"})) == 8
        assert card_count(client.get(QUEUE, {"rule": str(uuid4())})) == 0
        assert card_count(client.get(QUEUE, {"kind": "nonsense", "rule": "x", "after": "y"})) == 8

    def test_the_number_of_queries_does_not_grow_with_the_cards(self, owner, many, connection_queries):
        client = browser(owner)
        many(4)
        few = connection_queries(lambda: client.get(QUEUE))
        many(20)
        assert card_count(client.get(QUEUE)) == 24
        assert connection_queries(lambda: client.get(QUEUE)) == few

    def test_stale_cards_cost_no_query_each(self, owner, many, connection_queries):
        client = browser(owner)

        def change(operations):
            for each in operations:
                update_note(each.target_note, base_version=1, cause=by(owner), tags=["z"], body="Moved on, Beta.\n")

        change(many(4))
        few = connection_queries(lambda: client.get(QUEUE))
        change(many(16))
        assert connection_queries(lambda: client.get(QUEUE)) == few

    def test_a_get_changes_nothing(self, owner, retag):
        client = browser(owner)
        for url in (DECIDE, UNDO, reverse("admin:review_undo_run", args=[retag.run_id])):
            assert client.get(url, {"operation": str(retag.id), "decision": "apply"}).status_code == 405
        retag.refresh_from_db()
        assert retag.status == "pending"


class TestCards:
    def test_tags_say_what_is_added_removed_and_kept(self, owner, propose, notes):
        propose(op("retag_note", notes["alpha"], tags=("two",)))
        page = html(browser(owner).get(QUEUE))
        assert re.search(r'chip added">.*?\+.*?</span>two</li>', page)
        assert re.search(r'chip removed">.*?−.*?</span>one</li>', page)

    def test_of_two_notes_of_one_name_it_shows_the_one_that_the_link_will_mean(self, owner, propose, notes, workspace):
        create_note(workspace, NewNote("Gamma plan", path="g.md"), cause=by(owner))
        operation = propose(op("relink_note", notes["alpha"], links=[("Gamma plan", "Gamma plan")]))[0]
        shown = html(browser(owner).get(QUEUE))
        review([Decision(operation.id, "apply")], actor=owner)
        meant = NoteLink.objects.get(source=notes["alpha"]).target
        assert meant.path == "g.md"
        assert f'<span class="path">{meant.path}</span>' in shown

    def test_a_link_stands_in_its_sentence_with_its_target(self, owner, propose, notes):
        propose(op("relink_note", notes["alpha"], links=[("Gamma plan", "Gamma plan")]))
        page = html(browser(owner).get(QUEUE))
        assert re.search(r"Alpha talks of Beta and of <ins class=\"link\">.*?Gamma plan</ins>\.", page)
        assert "docs/gamma.md" in page

    def test_a_rewrite_shows_only_what_changes(self, owner, propose, notes):
        propose(op("rewrite_note", notes["beta"], body_markdown="# Beta\n\nSomething here.\n"))
        page = html(browser(owner).get(QUEUE))
        assert "<del>Nothing</del><ins>Something</ins>" in page

    def test_what_should_be_looked_at_twice_is_said(self, owner, propose, notes):
        (operation,) = propose(op("rewrite_note", notes["alpha"], body_markdown="Gone.\n"))
        assert operation.warnings
        page = html(browser(owner).get(QUEUE))
        assert "Look twice:</strong> Loses more than half of the text" in page

    def test_what_its_rule_applies_says_so_before_and_after(self, owner, retag):
        address = reverse("admin:review_operation", args=[retag.pk])
        assert "by itself" not in html(browser(owner).get(address))
        Operation.objects.update(auto_apply=True)
        assert "its rule is about to apply it by itself" in html(browser(owner).get(address))
        with transaction.atomic():
            apply_by_itself(Operation.objects.select_for_update().get(), "because")
        page = html(browser(owner).get(address))
        assert "Applied by its rule" in page
        assert "Accepted" not in page

    def test_a_new_note_is_rendered(self, owner, propose):
        propose(op("create_note", target_path="new/n.md", title="New", body_markdown="**bold** words", tags=("t",)))
        assert "<strong>bold</strong> words" in html(browser(owner).get(QUEUE))

    def test_a_question_is_asked(self, owner, propose, notes):
        propose(op("defer", notes["alpha"], reason="Which Beta is meant?"))
        page = html(browser(owner).get(QUEUE))
        assert '<p class="question">Which Beta is meant?</p>' in page
        assert "Acknowledge" in page

    def test_white_space_changes_say_so(self, owner, propose, notes):
        propose(op("rewrite_note", notes["beta"], body_markdown="# Beta\n\n\nNothing here.\n"))
        assert "Only white space changes" in html(browser(owner).get(QUEUE))

    def test_tags_changed_by_somebody_since_are_kept(self, owner, retag, notes):
        update_note(notes["alpha"], base_version=1, cause=by(owner), tags=["one", "mine"])
        page = html(browser(owner).get(QUEUE))
        assert "has changed since" in page
        assert re.search(r'chip kept">mine', page)
        assert re.search(r'chip added">.*?two</li>', page)


class TestRunPage:
    def test_shows_operations_of_every_status_with_the_reason_of_checks(self, owner, propose, run, notes):
        propose(op("retag_note", notes["alpha"], tags=("one",)))
        RunReport.objects.create(run=run, provider_kind="offline", parser_version="1", warnings=["odd <b>"])
        page = html(browser(owner).get(reverse("admin:review_run", args=[run.id])))
        assert "Changes nothing" in page
        assert "by a check, before review" in page
        assert "odd &lt;b&gt;" in page
        assert "0 of 1 pending" in re.sub(r"<[^>]+>", "", page)

    def test_pages_and_filters_by_status(self, owner, many, run):
        made = many(PAGE_SIZE + 3)
        review([Decision(made[0].id, "reject", "no")], actor=owner)
        client, url = browser(owner), reverse("admin:review_run", args=[run.id])
        assert card_count(client.get(url)) == PAGE_SIZE
        assert card_count(client.get(url, {"after": made[PAGE_SIZE - 1].index})) == 3
        assert card_count(client.get(url, {"status": "rejected"})) == 1
        assert card_count(client.get(url, {"status": "x", "after": "9" * 40})) == 0

    def test_is_not_there_for_outsiders(self, outsider, run):
        assert browser(outsider).get(reverse("admin:review_run", args=[run.id])).status_code == 404

    def test_decided_operations_show_what_they_changed_then(self, owner, propose, run, notes):
        (operation,) = propose(op("retitle_note", notes["alpha"], title="Omega"))
        review([Decision(operation.id, "apply")], actor=owner)
        page = html(browser(owner).get(reverse("admin:review_run", args=[run.id])))
        assert re.search(r"<del>.*?Alpha</del>", page)
        assert "Accepted" in page

    def test_of_many_undone_it_tells_the_number_and_names_what_was_left(self, editor, owner, propose, run):
        proposals = [op("create_note", target_path=f"n{n}.md", title=f"N{n}", body_markdown="x") for n in range(12)]
        operations = propose(*proposals)
        outcomes = review([Decision(each.id, "apply") for each in operations], actor=editor)
        update_note(outcomes[3].operation.target_note, base_version=1, cause=by(owner), body="Mine.\n")
        page = html(browser(editor).post(reverse("admin:review_undo_run", args=[run.id]), follow=True))
        assert "Undone: 11 operations." in page
        assert "Not done: create note, n3.md." in page
        assert "Undone: create note" not in page

    def test_undoes_the_whole_run(self, owner, viewer, propose, run, notes):
        (operation,) = propose(op("retitle_note", notes["alpha"], title="Omega"))
        review([Decision(operation.id, "apply")], actor=owner)
        url = reverse("admin:review_undo_run", args=[run.id])
        assert browser(viewer).post(url).status_code == 403
        assert browser(owner).post(url).status_code == 302
        notes["alpha"].refresh_from_db()
        assert notes["alpha"].title == "Alpha"


class TestDeciding:
    def decide(self, user, operation, decision="apply", headers=HTMX, **fields):
        data = {"operation": str(operation.id), "decision": decision, **fields}
        return browser(user).post(DECIDE, data, headers=headers)

    def test_accept_changes_the_note_and_answers_with_the_outcome(self, editor, retag, notes):
        response = self.decide(editor, retag, base_version="1")
        assert "Accepted" in html(response)
        assert "data-announcement>Accepted: retag, alpha.md." in html(response)
        assert "data-pending" not in html(response)
        notes["alpha"].refresh_from_db()
        assert notes["alpha"].tags == ["one", "two"]

    def test_without_htmx_leads_back_with_a_message(self, editor, retag):
        response = browser(editor).post(
            DECIDE, {"operation": str(retag.id), "decision": "apply", "next": QUEUE + "?kind=retag_note"}, follow=True
        )
        assert response.redirect_chain == [(QUEUE + "?kind=retag_note", 302)]
        assert "Accepted: retag, alpha.md." in html(response)

    def test_leads_back_to_this_site_alone(self, editor, retag):
        for bad in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
            response = self.decide(editor, retag, headers={}, next=bad)
            assert response.url == QUEUE

    def test_reject_keeps_the_reasons(self, editor, retag):
        self.decide(editor, retag, "reject", reject_reason=["not <b>today</b>", "Too risky"])
        retag.refresh_from_db()
        assert (retag.status, retag.reject_reason) == ("rejected", "not <b>today</b>; Too risky")
        assert retag.decided_by == editor

    def test_a_reason_is_kept_without_what_cannot_be_stored(self, editor, retag):
        self.decide(editor, retag, "reject", reject_reason="not\0 so")
        retag.refresh_from_db()
        assert retag.reject_reason == "not so"

    def test_several_at_once_each_for_itself(self, editor, many):
        first, second, *_ = many(2)
        update_note(second.target_note, base_version=1, cause=by(editor), title="Mine")
        response = browser(editor).post(
            DECIDE, {"operation": [str(first.id), str(second.id)], "decision": "apply"}, headers=HTMX
        )
        first.refresh_from_db()
        second.refresh_from_db()
        assert (first.status, second.status) == ("applied", "pending")
        assert card_count(response) == 2

    def test_a_viewer_is_refused(self, viewer, retag):
        assert self.decide(viewer, retag).status_code == 403
        assert self.decide(viewer, retag, headers={}).status_code == 403
        retag.refresh_from_db()
        assert retag.status == "pending"

    def test_an_outsider_finds_nothing(self, outsider, retag):
        assert self.decide(outsider, retag).status_code == 404
        assert browser(outsider).get(reverse("admin:review_operation", args=[retag.id])).status_code == 404
        assert browser(outsider).get(reverse("admin:review_edit", args=[retag.id])).status_code == 404

    def test_needs_the_csrf_token(self, editor, retag):
        client = Client(enforce_csrf_checks=True)
        client.force_login(editor, backend="django.contrib.auth.backends.ModelBackend")
        assert client.post(DECIDE, {"operation": str(retag.id), "decision": "apply"}).status_code == 403
        retag.refresh_from_db()
        assert retag.status == "pending"

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"operation": "x", "decision": "apply"},
            {"decision": "apply"},
            {"operation": "ID", "decision": "maybe"},
            {"operation": "ID", "decision": "apply", "base_version": "²"},
        ],
    )
    def test_a_malformed_form_does_nothing(self, editor, retag, data):
        data = {name: str(retag.id) if value == "ID" else value for name, value in data.items()}
        assert browser(editor).post(DECIDE, data).status_code == 400
        retag.refresh_from_db()
        assert retag.status == "pending"

    def test_one_unknown_among_them_does_nothing(self, editor, retag):
        data = {"operation": [str(retag.id), str(uuid4())], "decision": "apply"}
        assert browser(editor).post(DECIDE, data).status_code == 404
        retag.refresh_from_db()
        assert retag.status == "pending"

    def test_a_conflict_is_told_and_can_be_accepted_for_the_present_text(self, editor, retag, notes):
        update_note(notes["alpha"], base_version=1, cause=by(editor), tags=["one", "mine"])
        response = self.decide(editor, retag, base_version="1")
        page = html(response)
        assert 'role="alert" data-refusal>The note has changed' in page
        assert "data-pending" in page
        version = re.search(r'name="base_version" value="(\d+)"', page)[1]
        assert version == "2"
        assert "Accepted" in html(self.decide(editor, retag, base_version=version))
        notes["alpha"].refresh_from_db()
        assert notes["alpha"].tags == ["mine", "one", "two"]

    def test_a_rewrite_of_a_changed_text_cannot_be_accepted_as_it_is(self, editor, propose, notes):
        (rewrite,) = propose(op("rewrite_note", notes["beta"], body_markdown="Other\n"))
        update_note(notes["beta"], base_version=1, cause=by(editor), body="# Beta\n\nA person wrote this.\n")
        page = html(self.decide(editor, rewrite, base_version="2"))
        assert 'value="apply"' not in page
        notes["beta"].refresh_from_db()
        assert "A person" in notes["beta"].body

    def test_the_second_reviewer_is_told_of_the_first(self, editor, owner, retag):
        self.decide(owner, retag)
        page = html(self.decide(editor, retag, "reject"))
        assert "was applied by Owner" in page
        retag.refresh_from_db()
        assert retag.status == "applied"

    def test_undo(self, editor, viewer, retag, notes):
        self.decide(editor, retag)
        assert browser(viewer).post(UNDO, {"operation": str(retag.id)}).status_code == 403
        assert "Undone" in html(browser(editor).post(UNDO, {"operation": str(retag.id)}, headers=HTMX))
        notes["alpha"].refresh_from_db()
        assert notes["alpha"].tags == ["one"]

    def test_an_undone_operation_names_who_undid_it(self, editor, owner, retag):
        self.decide(owner, retag)
        page = html(browser(editor).post(UNDO, {"operation": str(retag.id)}, headers=HTMX))
        outcome = page[page.index('<p class="outcome reverted">') :]
        assert "Editor, <time" in outcome


class TestEditing:
    def test_the_form_comes_alone_to_htmx_and_as_a_page_to_others(self, editor, retag):
        url = reverse("admin:review_edit", args=[retag.id])
        assert "<html" not in html(browser(editor).get(url, headers=HTMX))
        page = html(browser(editor).get(url))
        assert "<html" in page
        assert "one, two" in page

    @pytest.mark.parametrize(
        ("kind", "proposal", "typed", "field", "expected"),
        [
            ("retag_note", {"tags": ("one", "two")}, {"tags": "One, three"}, "tags", ["one", "three"]),
            ("retitle_note", {"title": "Omega"}, {"title": "Mine"}, "title", "Mine"),
            ("rewrite_note", {"body_markdown": "X\n"}, {"body_markdown": "Mine\r\nhere\r\n"}, "body", "Mine\nhere\n"),
        ],
    )
    def test_what_was_typed_is_applied(self, editor, propose, notes, kind, proposal, typed, field, expected):
        (operation,) = propose(op(kind, notes["alpha"], **proposal))
        data = {"operation": str(operation.id), "decision": "apply", "edit": "1", "base_version": "1", **typed}
        assert "Accepted with edits" in html(browser(editor).post(DECIDE, data, headers=HTMX))
        notes["alpha"].refresh_from_db()
        assert getattr(notes["alpha"], field) == expected

    def test_links_can_be_aimed_elsewhere_or_left_out(self, editor, propose, notes):
        (operation,) = propose(
            op("relink_note", notes["alpha"], links=[("Beta", "Beta"), ("Gamma plan", "Gamma plan")])
        )
        data = {"operation": str(operation.id), "decision": "apply", "edit": "1", "base_version": "1"}
        data |= {"link_text": ["Beta", "Gamma plan"], "link_target": ["", "docs/beta"]}
        browser(editor).post(DECIDE, data, headers=HTMX)
        notes["alpha"].refresh_from_db()
        assert notes["alpha"].body == "Alpha talks of Beta and of [[docs/beta|Gamma plan]].\n"

    def test_a_note_that_changes_while_one_edits_keeps_that_change_when_one_saves_again(
        self, editor, owner, propose, notes
    ):
        update_note(notes["gamma"], base_version=1, cause=by(owner), body="One.\n\nTwo.\n\nThree.\n")
        notes["gamma"].refresh_from_db()
        (operation,) = propose(op("rewrite_note", notes["gamma"], body_markdown="Uno.\n\nTwo.\n\nThree.\n"))
        data = {"operation": str(operation.id), "decision": "apply", "edit": "1"}
        typed = {"base_version": "2", "body_markdown": "Eins.\n\nTwo.\n\nThree.\n"}
        update_note(notes["gamma"], base_version=2, cause=by(owner), body="One.\n\nTwo.\n\nDrei.\n")
        page = html(browser(editor).post(DECIDE, data | typed, headers=HTMX))
        assert "has changed since" in page
        assert "Eins.\n\nTwo.\n\nDrei.\n</textarea>" in page
        assert 'name="base_version" value="3"' in page
        again = {"base_version": "3", "body_markdown": "Eins.\n\nTwo.\n\nDrei.\n"}
        assert "Accepted with edits" in html(browser(editor).post(DECIDE, data | again, headers=HTMX))

    def test_what_cannot_be_accepted_stays_as_typed_with_the_reason(self, editor, propose, notes):
        (operation,) = propose(op("relink_note", notes["alpha"], links=[("Beta", "Beta")]))
        data = {"operation": str(operation.id), "decision": "apply", "edit": "1", "base_version": "1"}
        page = html(browser(editor).post(DECIDE, data | {"link_text": "Nowhere", "link_target": "Beta"}, headers=HTMX))
        assert 'value="Nowhere"' in page
        assert "does not stand in the note" in page
        operation.refresh_from_db()
        assert operation.status == "pending"

    def test_viewers_get_no_form(self, viewer, retag):
        assert browser(viewer).get(reverse("admin:review_edit", args=[retag.id])).status_code == 409


XSS = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><svg/onload=alert(1)>"


class Markup(HTMLParser):
    """Collects what the pages themselves never contain."""

    def __init__(self):
        super().__init__()
        self.faults = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        runs = tag == "script" and not (given.get("src") or "").startswith("/static/")
        loads = tag in {"img", "iframe", "object"} and not (given.get("src") or "/static/").startswith("/static/")
        handlers = [name for name in given if name.startswith("on") or name == "style"]
        links = [value for name, value in attrs if name in {"href", "action"} and "script:" in (value or "").lower()]
        if runs or loads or handlers or links:
            self.faults.append(self.get_starttag_text())


def markup_faults(page):
    parser = Markup()
    parser.feed(page)
    return parser.faults


def test_the_collector_sees_what_it_is_for():
    assert len(markup_faults(XSS)) == 3


def test_nothing_gets_out_of_its_text(owner, workspace, run, notes, propose):
    """A battery in every text that comes from notes, models and people."""
    bad = create_note(
        workspace,
        NewNote(XSS, f"{XSS}\n\n[x](javascript:alert(1)) ![i](http://e/x.png)", tags=["<b>"]),
        cause=by(owner),
    )
    Operation.objects.bulk_create(
        Operation(
            workspace=workspace,
            run=run,
            index=50 + i,
            operation_id=XSS,
            kind=kind,
            target_note=None if kind == "create_note" else bad,
            target_path=XSS,
            title=XSS,
            body_markdown=f"{XSS}\n\n[x](javascript:alert(1)) ![i](http://e/x.png)\n",
            tags=[XSS],
            links=[{"text": XSS, "target": XSS}] if kind == "relink_note" else None,
            reason=XSS,
            confidence=0.5,
            base_version=1,
            fingerprint=str(i),
        )
        for i, kind in enumerate(["retag_note", "retitle_note", "relink_note", "rewrite_note", "create_note", "defer"])
    )
    RunReport.objects.create(run=run, provider_kind=XSS[:32], model=XSS, parser_version="1", warnings=[XSS])
    client = browser(owner)
    pages = [QUEUE, reverse("admin:review_run", args=[run.id]), reverse("admin:notes_note_change", args=[bad.id])]
    pages += [
        reverse("admin:notes_note_version", args=[bad.id, 1]),
        reverse("admin:notes_note_changelist") + "?q=alert",
    ]
    pages += [reverse("admin:review_edit", args=[each.id]) for each in Operation.objects.exclude(kind="defer")]
    for url in pages:
        response = client.get(url)
        assert response.status_code == 200, url
        page = html(response)
        assert "alert(1)" in page
        assert markup_faults(page) == [], url


class TestFrontDoor:
    def test_leads_to_the_queue_when_something_waits(self, owner, retag):
        assert browser(owner).get("/").url == QUEUE

    def test_leads_to_the_overview_otherwise(self, owner, outsider, retag):
        assert browser(outsider).get("/").url == "/admin/"

    def test_the_login_leads_through_it(self, client, owner, retag):
        owner.set_password("correct horse battery staple")
        owner.save()
        page = html(client.get("/admin/login/?next=/admin/"))
        assert 'name="next" value="/"' in page
        assert 'name="next" value="/admin/notes/note/"' in html(client.get("/admin/login/?next=/admin/notes/note/"))

    def test_the_overview_tells_how_many_wait_where(self, owner, outsider, retag):
        assert "proposal waits in Team" in re.sub(r"<[^>]+>", "", html(browser(owner).get("/admin/")))
        assert "Team" not in html(browser(outsider).get("/admin/"))
