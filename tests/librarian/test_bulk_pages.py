"""Deciding many at once by forms: from a group, from ticks, from all that pass the filters; and the undo as one."""

import re
import threading
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_notes, update_note
from kjxlkj.pagination import encode_cursor
from kjxlkj.workspaces.models import Role
from kjxlkj.workspaces.services import create_workspace, set_member
from librarian import batches as services
from librarian import bulk
from librarian.batches import decide_together
from librarian.models import Batch, Operation, OperationStatus
from librarian.services import Decision, review
from tests.librarian.conftest import op
from tests.librarian.test_review_pages import HTMX, QUEUE, browser, html, markup_faults

BULK, DECIDE, BATCHES = "/admin/review/together/", "/admin/review/together/decide/", "/admin/review/batches/"


@pytest.fixture
def alike(propose, notes):
    """The same tag on three notes."""
    return propose(*(op("retag_note", note, tags=(*note.tags, "billing")) for note in notes.values()))


@pytest.fixture
def many_alike(workspace, run, owner):
    """As many as asked for, on notes of their own."""

    def make(count, *, body="Text.\n", folder="many", **fields):
        new = [NewNote(f"N{number}", body, f"{folder}/{uuid4()}.md") for number in range(count)]
        values = {"reason": "because", "kind": "retag_note", "tags": ["billing"], "change_key": "+billing", **fields}
        there = Operation.objects.count()
        return Operation.objects.bulk_create(
            Operation(
                workspace=workspace,
                run=run,
                index=there + number,
                operation_id=f"op{number}",
                fingerprint=str(uuid4()),
                target_note=note,
                target_path=note.path,
                base_version=1,
                confidence=number / count,
                **values,
            )
            for number, note in enumerate(create_notes(workspace, new, cause=by(owner)))
        )

    return make


def ids(operations):
    return [str(operation.pk) for operation in operations]


def ticked(page):
    return re.findall(r'name="operation" value="([^"]+)" checked', page)


def statuses():
    return sorted(Operation.objects.values_list("status", flat=True))


class TestGroupCard:
    def test_shows_one_decision_with_a_tick_for_each_note(self, editor, alike):
        page = html(browser(editor).get(QUEUE))
        assert "Add tag billing on 3 notes" in page
        assert sorted(ticked(page)) == sorted(ids(alike))
        assert page.count('<article class="card') == 1
        assert "1–1 of 1 decisions,</span>" in page

    def test_viewers_see_the_notes_without_ticks_or_buttons(self, viewer, alike):
        page = html(browser(viewer).get(QUEUE))
        assert "Add tag billing on 3 notes" in page
        assert ticked(page) == []
        assert "<button" not in page.split('id="cards"')[1].split('class="pages"')[0]
        assert 'id="selected"' not in page

    def test_the_ticked_ones_are_decided_and_the_answer_takes_its_place(self, editor, alike, notes):
        answer = html(browser(editor).post(DECIDE, {"operation": ids(alike[:2]), "decision": "apply"}, headers=HTMX))
        assert "Add tag billing: 2 of 2 accepted" in answer
        assert "Undo all 2" in answer
        assert "data-announcement>2 accepted." in answer
        assert statuses() == ["applied", "applied", "pending"]

    def test_a_reason_alone_rejects(self, editor, alike):
        browser(editor).post(DECIDE, {"operation": ids(alike), "reject_reason": ["Not useful", " and <b>\0 "]})
        assert set(Operation.objects.values_list("status", "reject_reason")) == {("rejected", "Not useful; and <b>")}
        assert Batch.objects.get().reason == "Not useful; and <b>"

    def test_what_failed_is_named_with_why(self, editor, owner, alike, notes):
        update_note(notes["beta"], base_version=1, cause=by(owner), tags=["mine"])
        answer = html(browser(editor).post(DECIDE, {"operation": ids(alike), "decision": "apply"}, headers=HTMX))
        assert "2 of 3 accepted" in answer
        assert re.search(r"Beta</a>.*?docs/beta\.md.*?The note has changed since", answer, re.S)
        assert "2 accepted, 1 not." in answer

    def test_the_others_come_with_their_ticks(self, editor, many_alike):
        made = many_alike(15)
        client = browser(editor)
        page = html(client.get(QUEUE))
        first = ticked(page)
        assert first == ids(made[:10])
        url = re.search(r'hx-get="(/admin/review/[^"]+/alike/[^"]+)"', page)[1].replace("&amp;", "&")
        assert ticked(html(client.get(url))) == ids(made[10:])

    def test_says_how_many_of_them_a_card_lists(self, editor, many_alike):
        made = many_alike(205)
        page = html(browser(editor).get(reverse("admin:review_alike", args=[made[9].pk])))
        assert ticked(page) == ids(made[10:200])
        assert "These are the first 200 of 205." in page

    def test_the_others_are_not_there_for_outsiders(self, outsider, viewer, alike):
        url = reverse("admin:review_alike", args=[alike[0].pk])
        assert browser(outsider).get(url).status_code == 404
        assert ticked(html(browser(viewer).get(url))) == []

    def test_of_what_is_like_no_other_there_are_no_others(self, editor, propose, notes):
        (alone,) = propose(op("retitle_note", notes["alpha"], title="Omega"))
        assert "are decided" in html(browser(editor).get(reverse("admin:review_alike", args=[alone.pk])))


class TestDecide:
    def test_leads_to_the_answers_and_back(self, editor, alike):
        data = {"operation": ids(alike), "decision": "apply", "next": QUEUE + "?kind=retag_note"}
        page = html(browser(editor).post(DECIDE, data, follow=True))
        assert "Add tag billing: 3 of 3 accepted" in page
        assert f'id="next-page" href="{QUEUE}?kind=retag_note"' in page
        assert page.count("accepted</span>") == 3

    def test_a_viewer_is_refused_and_an_outsider_finds_nothing(self, viewer, outsider, alike):
        data = {"operation": ids(alike), "decision": "apply"}
        assert browser(viewer).post(DECIDE, data).status_code == 403
        assert browser(viewer).post(DECIDE, data, headers=HTMX).status_code == 403
        assert browser(outsider).post(DECIDE, data).status_code == 404
        assert statuses() == ["pending"] * 3

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"decision": "apply"},
            {"operation": "x", "decision": "apply"},
            {"operation": "ID"},
            {"operation": "ID", "decision": "maybe"},
            {"operation": "ID", "reject_reason": "  "},
        ],
    )
    def test_a_malformed_form_does_nothing(self, editor, alike, data):
        data = {name: ids(alike) if value == "ID" else value for name, value in data.items()}
        assert browser(editor).post(DECIDE, data).status_code == 400
        assert statuses() == ["pending"] * 3
        assert not Batch.objects.exists()

    def test_more_than_can_be_done_at_once_are_refused(self, editor, alike, monkeypatch):
        monkeypatch.setattr(services, "MOST", 2)
        response = browser(editor).post(DECIDE, {"operation": ids(alike), "decision": "apply"})
        assert response.status_code == 400
        assert "name 1 to 2 operations" in html(response)
        assert statuses() == ["pending"] * 3

    def test_how_long_it_took_is_kept_where_it_is_measured(self, editor, alike):
        data = {"operation": ids(alike[:2]), "decision": "apply", "seconds": "12.5"}
        for nonsense in ({"via": "nonsense"}, {"via": "api"}, {"seconds": "soon"}):
            assert browser(editor).post(DECIDE, data | nonsense).status_code == 400
        assert statuses() == ["pending"] * 3
        browser(editor).post(DECIDE, data)
        browser(editor).post(DECIDE, {**data, "operation": ids(alike[2:]), "seconds": "", "via": "key"})
        found = list(Operation.objects.order_by("index"))
        assert [each.via for each in found] == ["bulk", "bulk", "key"]
        assert [bool(each.shown_at) for each in found] == [True, True, False]

    def test_needs_the_csrf_token_and_a_post(self, editor, alike):
        client = Client(enforce_csrf_checks=True)
        client.force_login(editor, backend="django.contrib.auth.backends.ModelBackend")
        data = {"operation": ids(alike), "decision": "apply"}
        assert client.post(DECIDE, data).status_code == 403
        assert client.get(DECIDE, data).status_code == 405
        assert statuses() == ["pending"] * 3


@pytest.mark.django_db(transaction=True)
def test_a_double_press_does_nothing_twice(editor, alike, notes):
    """Two browsers press at the same moment: each operation is done by one of them, and the other is told."""
    ready, answers = threading.Barrier(2), []
    clients = [browser(editor), browser(editor)]

    def press(client):
        try:
            ready.wait(timeout=10)
            answers.append(client.post(DECIDE, {"operation": ids(alike), "decision": "apply"}).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert answers == [302, 302]
    assert statuses() == ["applied"] * 3
    first, second = Batch.objects.all()
    assert len(first.refusals) + len(second.refusals) == 3
    assert {each["code"] for batch in (first, second) for each in batch.refusals} == {"ALREADY_DECIDED"}
    for note in notes.values():
        note.refresh_from_db()
        assert note.version == 2


class TestBulkPage:
    def test_is_offered_where_the_queue_is_narrowed(self, editor, viewer, alike):
        client = browser(editor)
        assert "Accept all" not in html(client.get(QUEUE))
        page = html(client.get(QUEUE, {"kind": "retag_note"}))
        assert "Accept all 3 of these…" in page
        assert f"{BULK}?kind=retag_note&amp;decision=reject" in page
        assert f"{BULK}?kind=retag_note&amp;confidence=0.9" in page
        assert "Accept all" not in html(browser(viewer).get(QUEUE, {"kind": "retag_note"}))

    def test_of_two_workspaces_those_that_one_may_decide_are_counted_and_listed(self, editor, owner, alike, run):
        other = create_workspace(slug="other", name="Other", owner=owner)
        set_member(other, editor, Role.VIEWER, actor=owner)
        Operation.objects.filter(pk=alike[0].pk).update(workspace=other)
        client = browser(editor)
        assert "Accept all 2 of these…" in html(client.get(QUEUE, {"kind": "retag_note"}))
        assert sorted(ticked(html(client.get(BULK, {"kind": "retag_note"})))) == sorted(ids(alike[1:]))

    def test_shows_how_many_and_a_sample_from_over_all_the_confidence_first(self, editor, many_alike):
        made = many_alike(28)
        page = html(browser(editor).get(BULK, {"kind": "retag_note"}))
        assert "Accept 28 proposal" in page
        cards = re.findall(r'<article class="card[^>]+id="card-([^"]+)"', page)
        assert cards == [str(made[number].pk) for number in range(0, 28, 3)]
        assert sorted(ticked(page)) == sorted(ids(made))
        assert 'value="apply"' in page
        assert page.count("<form") == page.count("</form") == 2  # the admin's logout, and this one

    def test_exactly_those_ticked_are_decided(self, editor, many_alike):
        made = many_alike(12)
        client = browser(editor)
        page = html(client.get(BULK, {"kind": "retag_note", "decision": "reject"}))
        assert "Reject 12 proposals" in page
        many_alike(1)
        client.post(DECIDE, {"operation": ticked(page)[1:], "decision": "reject", "reject_reason": ["Wrong", ""]})
        assert statuses() == ["pending"] * 2 + ["rejected"] * 11
        assert Operation.objects.get(pk=ticked(page)[0]).status == OperationStatus.PENDING
        assert {each.reject_reason for each in made if each.refresh_from_db() or each.reject_reason} == {"Wrong"}

    def test_goes_on_with_the_next_ones_and_ticks_nothing_again(self, editor, many_alike, monkeypatch):
        monkeypatch.setattr(bulk, "MOST", 4)
        made = many_alike(6)
        client = browser(editor)
        page = html(client.get(BULK, {"kind": "retag_note"}))
        assert sorted(ticked(page)) == sorted(ids(made[:4]))
        assert "of 6 that wait" in page
        back = re.search(r'name="next" value="([^"]+)"', page)[1].replace("&amp;", "&")
        data = {"operation": ids(made[:3]), "decision": "apply", "next": back}
        page = html(client.post(DECIDE, data, follow=True))
        assert "Go on with the next ones" in page
        page = html(client.get(back))
        assert sorted(ticked(page)) == sorted(ids(made[4:]))
        back = re.search(r'name="next" value="([^"]+)"', page)[1]
        assert back.startswith(QUEUE + "?kind=")

    def test_takes_a_filter_and_the_right_to_decide(self, editor, viewer, outsider, alike):
        assert browser(editor).get(BULK).status_code == 400
        assert browser(editor).get(BULK, {"kind": "nonsense"}).status_code == 400
        assert browser(viewer).get(BULK, {"kind": "retag_note"}).status_code == 403
        assert ticked(html(browser(outsider).get(BULK, {"kind": "retag_note"}))) == []
        assert "Nothing is left here" in html(browser(outsider).get(BULK, {"kind": "retag_note"}))

    def test_a_place_that_cannot_be_is_the_first(self, editor, alike):
        for after in ("x", "WyJ4IiwgIngiXQ", "bnVsbA", encode_cursor(["0001-01-01T00:00:00+14:00", str(uuid4())])):
            page = html(browser(editor).get(BULK, {"kind": "retag_note", "decision": "maybe", "after": after}))
            assert len(ticked(page)) == 3

    def test_changes_nothing_and_makes_as_many_statements_for_many(self, editor, many_alike, connection_queries):
        client = browser(editor)
        many_alike(11)
        few = connection_queries(lambda: client.get(BULK, {"kind": "retag_note"}))
        many_alike(30)
        assert connection_queries(lambda: client.get(BULK, {"kind": "retag_note"})) == few
        assert statuses() == ["pending"] * 41

    def test_five_hundred_fit_into_one_form(self, editor, many_alike):
        made = many_alike(services.MOST, kind="defer", change_key="", tags=None)
        client = browser(editor)
        page = html(client.get(BULK, {"kind": "defer"}))
        assert len(ticked(page)) == services.MOST
        response = client.post(DECIDE, {"operation": ticked(page), "decision": "reject", "reject_reason": "Wrong"})
        assert response.status_code == 302
        assert statuses() == ["rejected"] * len(made)


class TestBatchPage:
    @pytest.fixture
    def batch(self, editor, owner, alike, notes):
        update_note(notes["beta"], base_version=1, cause=by(owner), tags=["mine"])
        return decide_together([each.pk for each in alike], "apply", actor=editor)[0]

    def url(self, batch, page="review_batch"):
        return reverse(f"admin:{page}", args=[batch.pk])

    def test_answers_for_each(self, editor, batch, alike):
        page = html(browser(editor).get(self.url(batch)))
        assert "Not done (1)" in page
        assert "Done (2)" in page
        assert "The note has changed since" in page
        assert all(reverse("admin:review_operation", args=[each.pk]) in page for each in alike)

    def test_is_undone_as_one_and_tells_what_was_left(self, editor, owner, batch, notes):
        update_note(notes["gamma"], base_version=2, cause=by(owner), tags=["mine"])
        page = html(browser(editor).post(self.url(batch, "review_undo_batch")))
        assert "1 undone, 1 left as it is." in page
        assert "was changed since (version 3)" in page
        assert statuses() == ["applied", "pending", "reverted"]
        notes["alpha"].refresh_from_db()
        assert notes["alpha"].tags == ["one"]

    def test_the_undo_from_the_card_answers_in_its_place(self, editor, batch):
        answer = html(browser(editor).post(self.url(batch, "review_undo_batch"), headers=HTMX))
        assert answer.strip().startswith("<article")
        assert "2 undone." in answer
        assert "Undo all" not in answer

    def test_a_second_undo_does_nothing_more(self, editor, batch, notes):
        client = browser(editor)
        client.post(self.url(batch, "review_undo_batch"))
        assert "0 undone." in html(client.post(self.url(batch, "review_undo_batch")))
        notes["alpha"].refresh_from_db()
        assert notes["alpha"].version == 3

    def test_what_was_rejected_waits_again(self, editor, alike):
        batch, _ = decide_together([each.pk for each in alike], "reject", actor=editor)
        assert "3 undone." in html(browser(editor).post(self.url(batch, "review_undo_batch")))
        assert statuses() == ["pending"] * 3
        review([Decision(alike[0].pk, "apply")], actor=editor)
        told = html(browser(editor).get(self.url(batch)))
        assert "3 of them were taken back, to be decided anew." in told

    def test_viewers_see_it_and_may_not_undo(self, viewer, batch):
        page = html(browser(viewer).get(self.url(batch)))
        assert "Done (2)" in page
        assert "Undo all" not in page
        assert browser(viewer).post(self.url(batch, "review_undo_batch")).status_code == 403
        assert statuses() == ["applied", "applied", "pending"]

    def test_who_sees_a_part_of_it_sees_that_part_and_may_not_undo_the_rest(
        self, editor, owner, outsider, batch, alike
    ):
        other = create_workspace(slug="other", name="Other", owner=owner)
        set_member(other, outsider, Role.EDITOR, actor=owner)
        Operation.objects.filter(pk=alike[0].pk).update(workspace=other)
        page = html(browser(outsider).get(self.url(batch)))
        assert "Done (1)" in page
        assert "2 of them are in workspaces that you do not see." in page
        assert "Undo all" not in page
        assert browser(outsider).post(self.url(batch, "review_undo_batch")).status_code == 403

    def test_is_not_there_for_outsiders_and_a_get_undoes_nothing(self, outsider, editor, batch):
        for page in ("review_batch", "review_undo_batch"):
            method = browser(outsider).get if page == "review_batch" else browser(outsider).post
            assert method(self.url(batch, page)).status_code == 404
        assert browser(editor).get(self.url(batch, "review_undo_batch")).status_code == 405
        assert statuses() == ["applied", "applied", "pending"]

    def test_ones_own_latest_are_listed_with_their_undo(self, editor, owner, batch):
        page = html(browser(editor).get(BATCHES))
        assert "3 accepted" in page
        assert "1 of them not done" in page
        assert "Undo all 2" in page
        assert self.url(batch, "review_undo_batch") in page
        assert "Nothing yet" in html(browser(owner).get(BATCHES))
        browser(editor).post(self.url(batch, "review_undo_batch"))
        assert "Undo all" not in html(browser(editor).get(BATCHES))

    def test_the_list_offers_no_undo_to_who_may_not_write_there_any_more(self, editor, owner, workspace, batch):
        set_member(workspace, editor, Role.VIEWER, actor=owner)
        page = html(browser(editor).get(BATCHES))
        assert "3 accepted" in page
        assert "Undo all" not in page

    def test_statements_do_not_grow_with_its_size(self, editor, many_alike, connection_queries):
        client = browser(editor)
        few, _ = decide_together([each.pk for each in many_alike(2)], "apply", actor=editor)
        small = connection_queries(lambda: client.get(self.url(few)))
        many, _ = decide_together([each.pk for each in many_alike(20)], "apply", actor=editor)
        assert connection_queries(lambda: client.get(self.url(many))) == small
        lists = connection_queries(lambda: client.get(BATCHES))
        decide_together([each.pk for each in many_alike(2)], "apply", actor=editor)
        assert connection_queries(lambda: client.get(BATCHES)) == lists


class TestLater:
    @pytest.fixture
    def rewrites(self, many_alike):
        return many_alike(5, kind="rewrite_note", change_key="", tags=None, body_markdown="Words.\n")

    def test_the_first_cards_show_their_changes_and_the_others_on_demand(self, editor, rewrites):
        client = browser(editor)
        page = html(client.get(QUEUE))
        assert page.count("<ins>Words") == 3
        urls = re.findall(r'hx-get="([^"]+/change/)"', page)
        assert urls == [reverse("admin:review_change", args=[each.pk]) for each in rewrites[3:]]
        answer = html(client.get(urls[0]))
        assert "<ins>Words" in answer
        assert "<html" not in answer
        assert "<ins>Words" in html(client.get(reverse("admin:review_operation", args=[rewrites[3].pk])))

    def test_a_change_that_does_not_fit_any_more_says_so(self, editor, propose, notes, owner):
        (operation,) = propose(op("relink_note", notes["alpha"], links=[("Beta", "Beta")]))
        update_note(notes["alpha"], base_version=1, cause=by(owner), body="Nothing of it.\n")
        answer = html(browser(editor).get(reverse("admin:review_change", args=[operation.pk])))
        assert "does not stand in the note" in answer

    def test_is_not_there_for_outsiders(self, outsider, rewrites):
        assert browser(outsider).get(reverse("admin:review_change", args=[rewrites[0].pk])).status_code == 404


class TestWeight:
    """At most 150 kB for 25 entries, whatever they are of."""

    @pytest.fixture
    def weight(self, editor):
        return lambda **query: len(browser(editor).get(QUEUE, query).content)

    @pytest.mark.parametrize("length", [5_900, 60_000])
    @pytest.mark.parametrize("kind", ["rewrite_note", "create_note"])
    def test_of_texts(self, weight, many_alike, kind, length):
        body = "A **word** of it, [a link](there.md).\n" * (length // 38)
        new = {"body_markdown": body, "reason": "As long as reasons are. " * 5, "change_key": "", "kind": kind}
        many_alike(25, body=body.replace("A ", "One "), **new)
        assert 50_000 < weight() < 150_000

    def test_of_long_notes_that_lose_it_all(self, weight, many_alike):
        many_alike(25, body="All of this. " * 10_000, kind="rewrite_note", change_key="", body_markdown="Gone.\n")
        assert weight() < 150_000

    def test_of_groups(self, weight, many_alike):
        folder = "a-folder-of-usual-length/another-one-in-it"
        for number in range(25):
            reason = "As long as reasons are. " * 5
            many_alike(12, folder=folder, change_key=f"+topic-{number}", reason=reason)
        assert 50_000 < weight(kind="retag_note", folder=folder) < 150_000


def test_the_run_has_a_bar_for_ticked_cards_too(editor, viewer, alike, run):
    url = reverse("admin:review_run", args=[run.pk])
    assert 'id="selected"' in html(browser(editor).get(url))
    assert 'id="selected"' not in html(browser(viewer).get(url))


XSS = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>"


def test_nothing_gets_out_of_its_text(editor, workspace, run, owner):
    new = [NewNote(XSS, "Text.\n", f"{number}.md", tags=["<b>"]) for number in range(12)]
    made = Operation.objects.bulk_create(
        Operation(
            workspace=workspace,
            run=run,
            index=number,
            operation_id="op",
            fingerprint=str(number),
            kind="relink_note",
            target_note=note,
            target_path=XSS,
            links=[{"text": XSS, "target": XSS}],
            change_key=XSS,
            model=XSS,
            reason=f"{XSS} {number}",
            confidence=0.5,
            base_version=1,
        )
        for number, note in enumerate(create_notes(workspace, new, cause=by(owner)))
    )
    client = browser(editor)
    batch, _ = decide_together([made[0].pk], "reject", actor=editor, reason=XSS)
    for url in (
        QUEUE,
        f"{QUEUE}?folder={XSS}&change_key={XSS}",
        f"{BULK}?kind=relink_note&folder=&model={XSS}",
        reverse("admin:review_alike", args=[made[1].pk]),
        reverse("admin:review_batch", args=[batch.pk]),
        BATCHES,
    ):
        response = client.get(url)
        assert response.status_code == 200
        assert "alert(1)" in html(response)
        assert markup_faults(html(response)) == [], url
