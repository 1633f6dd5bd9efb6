"""Reviewing by keys: what each does, when none fires, and that no decision is lost or made twice."""

import io
import re
from collections import Counter
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db.models import F
from playwright.sync_api import expect

from automation.services import create_rule, launch_rule
from kjxlkj.jobs.services import execute
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import NewNote, create_notes, update_note
from kjxlkj.workspaces.models import Role
from kjxlkj.workspaces.services import set_member
from librarian.merge import OR, PRESENT, PROPOSED
from librarian.models import Operation
from tests.librarian.conftest import op

QUEUE = "/admin/review/"


@pytest.fixture
def operations(propose, notes):
    return propose(
        op("retag_note", notes["alpha"], tags=("one", "two")),
        op("retitle_note", notes["beta"], title="Betamax"),
        op("relink_note", notes["alpha"], links=[("Gamma plan", "Gamma plan")]),
        op("rewrite_note", notes["gamma"], body_markdown="Plans and more.\n"),
    )


@pytest.fixture
def queue(visit, editor, operations):
    page = visit(editor)
    page.goto(QUEUE)
    return page


def card(page, operation):
    return page.locator(f"#card-{operation.id}")


def status(operation):
    operation.refresh_from_db()
    return operation.status


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def held(page, path="**/review/decide/"):
    """Requests to `path` wait in the list that comes back, until the test lets them go on."""
    waiting = []
    page.route(path, lambda route: waiting.append(route))
    return waiting


class TestKeys:
    def test_j_begins_at_the_first_pending_and_goes_on_and_k_goes_back(self, queue, operations):
        for key, expected in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
            press(queue, key)
            expect(card(queue, operations[expected])).to_be_focused()

    def test_a_accepts_and_goes_on_at_once_while_the_answer_is_awaited(self, queue, operations):
        waiting = held(queue)
        press(queue, "j", "a")
        expect(card(queue, operations[1])).to_be_focused()
        expect(card(queue, operations[0])).to_have_attribute("aria-busy", "true")
        press(queue, "a")
        expect(card(queue, operations[2])).to_be_focused()
        expect(queue.locator("[aria-busy=true]")).to_have_count(2)
        while len(waiting) < 2:
            queue.evaluate("1")  # lets the routes come in
        for route in reversed(waiting):
            route.continue_()
        expect(card(queue, operations[0])).to_contain_text("Accepted")
        expect(card(queue, operations[1])).to_contain_text("Accepted")
        expect(card(queue, operations[2])).to_be_focused()
        expect(queue.locator("[data-pending-count]")).to_have_text("2")
        expect(queue.locator("#announcement p")).to_have_count(2)
        assert [status(each) for each in operations[:2]] == ["applied", "applied"]

    @pytest.mark.parametrize(
        ("keys", "reason"), [(["2"], "Not useful"), (["0", "No", "Enter"], "No"), (["Hm", "Enter"], "Hm")]
    )
    def test_x_asks_why_for_a_number_or_words(self, queue, operations, keys, reason):
        press(queue, "j", "x")
        for key in keys:
            press(queue, key) if len(key) == 1 or key == "Enter" else queue.keyboard.type(key)
        expect(card(queue, operations[0]).locator(".outcome")).to_contain_text(reason)
        expect(card(queue, operations[1])).to_be_focused()
        assert (status(operations[0]), operations[0].reject_reason) == ("rejected", reason)

    def test_escape_leaves_the_question_why(self, queue, operations):
        press(queue, "j", "x", "Escape")
        expect(card(queue, operations[0])).to_be_focused()
        press(queue, "2")
        assert status(operations[0]) == "pending"

    def test_e_edits_and_keeps_what_was_typed_until_it_is_saved(self, queue, operations, notes):
        press(queue, "j", "j", "e")
        title = card(queue, operations[1]).get_by_role("textbox", name="Title")
        expect(title).to_be_focused()
        press(queue, "Control+A")
        queue.keyboard.type("ajax")
        press(queue, "Escape")
        expect(card(queue, operations[1])).to_be_focused()
        expect(title).not_to_be_visible()
        press(queue, "e")
        expect(title).to_have_value("ajax")
        press(queue, "Control+Enter")
        expect(card(queue, operations[1])).to_contain_text("Accepted with edits")
        notes["beta"].refresh_from_db()
        assert notes["beta"].title == "ajax"

    def test_u_takes_the_last_decisions_back_one_after_the_other(self, queue, operations):
        press(queue, "j", "a", "x", "1", "u")
        expect(card(queue, operations[1]).get_by_role("button", name="Accept")).to_be_visible()
        expect(card(queue, operations[1])).to_be_focused()
        press(queue, "j", "u")
        expect(card(queue, operations[0])).to_contain_text("Undone")
        assert [status(each) for each in operations[:2]] == ["reverted", "pending"]
        expect(queue.locator("[data-pending-count]")).to_have_text("3")

    def test_u_passes_over_what_was_refused(self, queue, operations, notes, owner):
        update_note(notes["beta"], base_version=1, cause=by(owner), title="Other")
        press(queue, "j", "a", "a")
        expect(card(queue, operations[1]).get_by_role("alert")).to_be_visible()
        expect(card(queue, operations[0])).to_contain_text("Accepted")
        press(queue, "u")
        expect(card(queue, operations[0])).to_contain_text("Undone")
        assert [status(each) for each in operations[:2]] == ["reverted", "pending"]

    def test_o_opens_and_closes_the_whole_note_rendered_or_as_source(self, queue, operations):
        press(queue, "j", "o")
        shown = card(queue, operations[0]).get_by_label("The whole note", exact=True)
        expect(shown).to_contain_text("Alpha talks of Beta")
        shown.get_by_role("link", name="As source").click()
        expect(shown.locator("pre")).to_contain_text("Alpha talks of Beta")
        card(queue, operations[0]).focus()
        press(queue, "o")
        expect(shown).to_have_count(0)

    def test_d_puts_the_sides_of_texts_beside_each_other_and_is_remembered(self, queue, operations):
        columns = card(queue, operations[3]).locator(".diff.side")
        unified = card(queue, operations[3]).locator(".diff.unified")
        card(queue, operations[3]).focus()
        press(queue, "d")
        expect(columns).to_be_visible()
        expect(columns.get_by_role("columnheader")).to_have_text(["Before", "After"])
        expect(unified).not_to_be_visible()
        queue.reload()
        card(queue, operations[3]).focus()
        expect(columns).to_be_visible()
        queue.set_viewport_size({"width": 800, "height": 900})
        expect(columns).not_to_be_visible()
        expect(unified).to_be_visible()
        queue.set_viewport_size({"width": 1280, "height": 900})
        press(queue, "d")
        expect(unified).to_be_visible()

    def test_space_selects_and_with_shift_all_up_to_here(self, queue, operations):
        press(queue, "j", "Space", "j", "j", "Shift+Space")
        boxes = queue.locator("input.select")
        assert [boxes.nth(each).is_checked() for each in range(4)] == [True, True, True, False]
        boxes.nth(3).click(modifiers=["Shift"])
        assert boxes.nth(3).is_checked()

    def test_the_help_keeps_the_focus_and_gives_it_back(self, queue, operations):
        press(queue, "j", "?")
        expect(queue.get_by_role("dialog", name="Keys")).to_be_visible()
        press(queue, "a", "Escape")
        expect(card(queue, operations[0])).to_be_focused()
        assert status(operations[0]) == "pending"

    def test_keys_can_be_turned_off_and_stay_off(self, queue, operations):
        queue.get_by_label("Keyboard shortcuts").first.uncheck()
        for _ in range(2):
            card(queue, operations[0]).focus()
            press(queue, "a", "x", "?")
            expect(queue.get_by_role("dialog")).to_have_count(0)
            expect(card(queue, operations[0]).get_by_role("button", name="Accept")).to_be_visible()
            queue.reload()
        # Below the cards, it moves when the last change comes.
        card(queue, operations[3]).scroll_into_view_if_needed()
        expect(card(queue, operations[3]).locator(".diff").first).to_be_visible()
        queue.get_by_label("Keyboard shortcuts").first.check()
        press(queue, "j", "a")
        expect(card(queue, operations[0])).to_contain_text("Accepted")


class TestNothingByAccident:
    def test_keys_that_are_held_or_come_with_others_or_in_a_composition_do_nothing(self, queue, operations):
        sent = held(queue)
        press(queue, "j")
        queue.evaluate(
            """() => {
              const others = ["repeat", "ctrlKey", "metaKey", "altKey", "isComposing"];
              for (const other of others)
                document.activeElement.dispatchEvent(
                  new KeyboardEvent("keydown", { key: "a", bubbles: true, [other]: true }));
            }"""
        )
        expect(card(queue, operations[0])).to_be_focused()
        queue.keyboard.down("a")
        for _ in range(5):
            queue.keyboard.down("a")
        queue.keyboard.up("a")
        expect(card(queue, operations[1])).to_be_focused()
        expect(queue.locator("[aria-busy=true]")).to_have_count(1)
        for route in sent:
            route.continue_()
        expect(card(queue, operations[0])).to_contain_text("Accepted")

    def test_caps_lock_makes_no_other_keys_of_them(self, queue, operations):
        press(queue, "j")
        queue.evaluate(
            """document.activeElement.dispatchEvent(
                 new KeyboardEvent("keydown", { key: "A", bubbles: true, modifierCapsLock: true }))"""
        )
        expect(card(queue, operations[0])).to_contain_text("Accepted")

    def test_letters_are_letters_where_somebody_types(self, queue, operations):
        press(queue, "j", "x", "0")
        queue.keyboard.type("a j k u e")
        expect(card(queue, operations[0]).get_by_label("Reason, in your words")).to_have_value("a j k u e")
        assert status(operations[0]) == "pending"

    def test_a_card_that_is_being_edited_is_not_accepted_past_what_was_typed(self, queue, operations):
        press(queue, "j", "j", "e")
        title = card(queue, operations[1]).get_by_role("textbox", name="Title")
        expect(title).to_be_focused()
        card(queue, operations[1]).focus()
        press(queue, "a")
        expect(title).to_be_focused()
        assert status(operations[1]) == "pending"

    def test_a_second_press_on_a_card_under_way_is_not_sent(self, queue, operations):
        sent = held(queue)
        press(queue, "j", "a", "k", "a", "x")
        card(queue, operations[0]).get_by_role("button", name="Accept").dblclick()
        expect(queue.locator("[aria-busy=true]")).to_have_count(1)
        assert len(sent) == 1
        sent[0].continue_()
        expect(card(queue, operations[0])).to_contain_text("Accepted")

    def test_what_does_not_reach_the_server_is_told_kept_and_tried_again(self, visit, queue, operations):
        queue.context.set_offline(True)
        press(queue, "j", "j", "e")
        expect(queue.locator("#announcement")).to_contain_text("did not reach the server")
        queue.context.set_offline(False)
        press(queue, "e")
        title = card(queue, operations[1]).get_by_role("textbox", name="Title")
        title.fill("Typed")
        queue.context.set_offline(True)
        press(queue, "Control+Enter")
        expect(card(queue, operations[1])).to_contain_text("Nothing is lost")
        expect(card(queue, operations[2])).to_be_focused()
        press(queue, "a")
        expect(card(queue, operations[2])).to_contain_text("Nothing is lost")
        expect(queue.locator("#announcement p")).to_have_count(3)
        expect(queue.locator("[data-pending-count]")).to_have_text("4")
        queue.context.set_offline(False)
        queue.get_by_label("Not done").get_by_role("link").first.click()
        expect(title).to_have_value("Typed")
        title.press("Control+Enter")
        expect(card(queue, operations[1])).to_contain_text("Accepted with edits")
        card(queue, operations[2]).focus()
        press(queue, "a")
        expect(card(queue, operations[2])).to_contain_text("Accepted")
        expect(queue.get_by_label("Not done")).not_to_be_visible()
        assert [each for each in visit.complaints if not re.search("DISCONNECTED|htmx", each)] == []
        visit.complaints.clear()

    def test_an_edit_that_is_refused_stays_in_sight_with_why(self, queue, operations):
        press(queue, "j", "j", "j", "e")
        card(queue, operations[2]).get_by_label("Linked note").fill("No such note")
        press(queue, "Control+Enter")
        told = queue.get_by_label("Not done", exact=True)
        expect(told).to_contain_text("No such note")
        told.get_by_role("link").click()
        expect(card(queue, operations[2])).to_be_focused()
        assert status(operations[2]) == "pending"

    def test_who_is_logged_out_is_told_and_goes_on_after_a_login_in_another_tab(self, visit, editor, queue, operations):
        press(queue, "j", "j", "e")
        title = card(queue, operations[1]).get_by_role("textbox", name="Title")
        title.fill("Typed")
        queue.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
        press(queue, "Control+Enter")
        expect(card(queue, operations[1])).to_contain_text("You are logged out")
        expect(title).to_have_value("Typed")
        editor.set_password("a-password-of-some-length")
        editor.save()
        tab = queue.context.new_page()
        tab.goto("/admin/login/")
        tab.locator("[name=username]").fill(editor.email)
        tab.locator("[name=password]").fill("a-password-of-some-length")
        tab.get_by_role("button", name="Log in").click()
        expect(tab.locator("#user-tools")).to_be_visible()
        title.press("Control+Enter")
        expect(card(queue, operations[1])).to_contain_text("Accepted with edits")
        assert all("403" in each for each in visit.complaints)
        visit.complaints.clear()

    def test_a_page_that_is_left_early_says_so_and_loses_nothing(self, queue, operations):
        sent = held(queue)
        press(queue, "j", "a")
        expect(queue.locator("[aria-busy=true]")).to_have_count(1)
        asked = []
        queue.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
        queue.evaluate("location.href = '/admin/'")
        while not asked:
            queue.evaluate("1")
        assert asked == ["beforeunload"]
        sent[0].continue_()
        expect(card(queue, operations[0])).to_contain_text("Accepted")


class TestOthers:
    def test_the_second_of_two_is_told_by_whom_and_when(self, visit, queue, admin, operations):
        other = visit(admin)
        other.goto(QUEUE)
        press(queue, "j", "a")
        expect(card(queue, operations[0])).to_contain_text("Accepted")
        press(other, "j", "x", "1")
        told = card(other, operations[0])
        expect(told.get_by_role("alert")).to_contain_text(
            re.compile(r"was applied by Editor at \d{4}-\d\d-\d\d \d\d:\d\d")
        )
        expect(told).to_contain_text("Accepted")
        expect(card(other, operations[1])).to_be_focused()
        expect(other.locator("[data-pending-count]")).to_have_text("3")
        assert status(operations[0]) == "applied"

    @pytest.mark.parametrize("role", [Role.VIEWER, None])
    def test_who_loses_the_right_loses_the_buttons_and_is_told(
        self, visit, queue, editor, owner, workspace, operations, role
    ):
        if role:
            set_member(workspace, editor, role, actor=owner)
        else:
            workspace.memberships.filter(user=editor).delete()
        press(queue, "j", "a")
        expect(queue.locator("main button:visible").filter(has_text=re.compile("Accept|Reject|Undo"))).to_have_count(0)
        expect(queue.locator("input.select")).to_have_count(0)
        expect(card(queue, operations[0]).locator(".problem")).to_be_visible()
        press(queue, "j", "a", "x", "e", "Space")
        assert {status(each) for each in operations} == {"pending"}
        assert visit.complaints
        assert all("403" in each or "404" in each for each in visit.complaints)
        visit.complaints.clear()

    def test_a_rewrite_of_a_changed_note_is_edited_out_of_three_versions(self, queue, owner, operations, notes):
        update_note(notes["gamma"], base_version=1, cause=by(owner), body="Plans, by a person.\n")
        queue.reload()
        rewrite = card(queue, operations[3])
        rewrite.focus()
        press(queue, "a")
        expect(queue.locator("#announcement")).to_contain_text("cannot be accepted as it is")
        rewrite.get_by_role("link", name="Show the three versions").click()
        expect(rewrite.get_by_label("The three versions").get_by_role("heading")).to_have_count(3)
        rewrite.focus()
        press(queue, "e")
        text = rewrite.get_by_role("textbox", name="Text")
        expect(text).to_have_value(f"{PRESENT}\nPlans, by a person.\n{OR}\nPlans and more.\n{PROPOSED}\n")
        press(queue, "Control+Enter")
        expect(rewrite.get_by_role("alert")).to_contain_text("is still")
        text.fill("Plans and more, by a person.\n")
        text.press("Control+Enter")
        expect(rewrite).to_contain_text("Accepted with edits")
        notes["gamma"].refresh_from_db()
        assert notes["gamma"].body == "Plans and more, by a person.\n"


def test_many_alike_are_decided_and_taken_back_by_keys_as_one(visit, editor, propose, notes):
    made = propose(
        op("retag_note", notes["alpha"], tags=("one", "x")),
        op("retag_note", notes["beta"], tags=("x",)),
        op("retag_note", notes["gamma"], tags=("plan", "x")),
        op("retitle_note", notes["beta"], title="Betamax"),
    )
    page = visit(editor)
    page.goto(QUEUE)
    group = page.locator(".card.group")
    expect(group.locator("input[type=checkbox]")).to_have_count(3)
    press(page, "j")
    expect(group).to_be_focused()
    press(page, "x", "2")
    expect(card(page, made[3])).to_be_focused()
    expect(group).to_contain_text("3 of 3 rejected")
    expect(page.locator("[data-pending-count]")).to_have_text("1")
    press(page, "u")
    expect(group).to_contain_text("3 undone")
    expect(page.locator("[data-pending-count]")).to_have_text("4")
    assert {status(each) for each in made} == {"pending"}


def test_many_alike_are_taken_back_while_their_answer_is_awaited(visit, editor, propose, notes):
    made = propose(
        op("retag_note", notes["alpha"], tags=("one", "x")),
        op("retag_note", notes["beta"], tags=("x",)),
    )
    page = visit(editor)
    page.goto(QUEUE)
    sent = held(page, "**/review/together/decide/")
    press(page, "j", "a", "u")
    expect(page.locator("[aria-busy=true]")).to_have_count(1)
    while not sent:
        page.evaluate("1")
    sent[0].continue_()
    expect(page.locator(".card.group")).to_contain_text("2 undone")
    assert {status(each) for each in made} == {"reverted"}


def test_keys_work_on_proposals_that_came_by_themselves(visit, editor, owner, workspace, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    create_notes(workspace, [NewNote("Untitled", "# A heading worth a title\n", "Untitled.md")], cause=by(owner))
    rule = create_rule(workspace, actor=owner, name="R", action_json={"kind": "librarian_structure"})
    (run,) = launch_rule(rule, actor=owner).runs
    page = visit(editor)
    page.goto(QUEUE)
    expect(page.locator("#queue")).to_contain_text("The librarian is reading")
    execute("automation.run", run.id)
    expect(page.locator(".card")).to_contain_text("A heading worth a title")
    expect(page.get_by_role("button", name="Keys")).to_be_visible()
    press(page, "j")
    expect(page.locator(".card")).to_be_focused()
    press(page, "a")
    expect(page.locator(".card")).to_contain_text("Accepted")


def focus_by_tab(page, target):
    for _ in range(60):
        if target.evaluate("element => element === document.activeElement"):
            return
        press(page, "Tab")
    raise AssertionError(f"Tab does not lead to {target}")


def test_the_whole_way_from_an_import_to_an_undo_by_keyboard_alone(visit, editor, owner, workspace, settings, tmp_path):
    """Import, a run of the real pipeline, login, accept, reject, edit, conflict, undo: no mouse."""
    settings.DATA_DIR = tmp_path / "data"
    vault = tmp_path / "vault"
    vault.mkdir()
    for name in ("One", "Two", "Three", "Four"):
        (vault / f"{name}.md").write_text(f"# {name} heading of a note\n\nText about the harbour.\n")
    call_command("import_notes", vault, workspace=workspace.slug, stderr=io.StringIO())
    Note.objects.filter(workspace=workspace).update(title="Untitled", version=F("version") + 1)
    rule = create_rule(workspace, actor=owner, name="R", action_json={"kind": "librarian_structure"})
    (run,) = launch_rule(rule, actor=owner).runs
    execute("automation.run", run.id)
    titles = list(Operation.objects.pending().filter(kind="retitle_note").in_order())
    assert len(titles) == 4
    editor.set_password("correct horse battery staple")
    editor.save()
    page = visit(editor)
    page.context.clear_cookies()
    page.goto(f"{QUEUE}?kind=retitle_note")
    focus_by_tab(page, page.get_by_label("Email"))
    page.keyboard.type(editor.email)
    press(page, "Tab")
    page.keyboard.type("correct horse battery staple")
    press(page, "Enter")
    expect(page.get_by_role("button", name="Keys")).to_be_visible()
    update_note(titles[3].target_note, base_version=titles[3].target_note.version, cause=by(owner), title="Other")
    press(page, "j", "a", "x", "2", "e")
    title = card(page, titles[2]).get_by_role("textbox", name="Title")
    expect(title).to_be_focused()
    press(page, "Control+A")
    page.keyboard.type("Mine")
    press(page, "Control+Enter")
    expect(card(page, titles[3])).to_be_focused()
    press(page, "a")
    expect(card(page, titles[3]).get_by_role("button", name="Accept for the present text")).to_be_visible()
    expect(card(page, titles[3])).to_be_focused()
    press(page, "a")
    expect(card(page, titles[3]).locator(".outcome")).to_contain_text("Accepted")
    assert [status(each) for each in titles] == ["applied", "rejected", "applied", "applied"]
    press(page, "k", "u")
    expect(card(page, titles[2])).to_contain_text("Undone")
    assert [status(each) for each in titles] == ["applied", "rejected", "reverted", "applied"]
    titles[2].target_note.refresh_from_db()
    assert titles[2].target_note.title == "Untitled"


def many(workspace, owner, run, count):
    notes = create_notes(
        workspace, [NewNote(f"N{i}", f"Line {i}.\n", f"many/{i}.md") for i in range(count)], cause=by(owner)
    )
    return Operation.objects.bulk_create(
        Operation(
            workspace=workspace,
            run=run,
            index=1000 + i,
            operation_id=f"op{i}",
            kind="retag_note",
            target_note=note,
            target_path=note.path,
            tags=["x"],
            reason="r",
            confidence=0.7,
            base_version=1,
            fingerprint=str(uuid4()),
        )
        for i, note in enumerate(notes)
    )


def test_five_hundred_decisions_by_keyboard_are_each_made_once(visit, editor, owner, workspace, run):
    made = many(workspace, owner, run, 500)
    page = visit(editor)
    sent = Counter()
    page.on(
        "request",
        lambda request: request.method == "POST" and sent.update(re.findall(r"operation=([\w-]+)", request.post_data)),
    )
    page.goto(QUEUE)
    press(page, "j")
    for number in range(500):
        press(page, *(["x", str(number % 4 + 1)] if number % 5 == 0 else ["a"]))
        if number % 25 == 24 and number < 499:
            expect(page.locator("#next-page")).to_be_focused()
            before = page.url
            press(page, "Enter")
            page.wait_for_url(lambda url, before=before: url != before)
            expect(page.locator(".card[data-pending]").first).to_be_focused()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.reload()
    assert Counter(Operation.objects.values_list("status", flat=True)) == {"applied": 400, "rejected": 100}
    assert set(sent.values()) == {1}
    assert len(sent) == 500
    events = workspace.events.filter(type__startswith="operation.").values_list("payload__operation_id", flat=True)
    assert Counter(events) == {str(each.id): 1 for each in made}


def test_u_reaches_back_to_the_page_before(visit, editor, owner, workspace, run):
    made = many(workspace, owner, run, 27)
    page = visit(editor)
    page.goto(QUEUE)
    press(page, "j", *["a"] * 24, "x", "1")
    expect(page.locator("#next-page")).to_be_focused()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    press(page, "Enter")
    expect(card(page, made[25])).to_be_focused()
    press(page, "a")
    expect(card(page, made[25])).to_contain_text("Accepted")
    press(page, "u")
    expect(card(page, made[25])).to_contain_text("Undone")
    press(page, "u")
    expect(card(page, made[24])).to_be_focused()
    expect(page.locator("[data-pending-count]")).to_have_text("2")
    press(page, "j", "u")
    expect(card(page, made[23])).to_contain_text("Undone")
    assert [status(each) for each in made[22:]] == ["applied", "reverted", "pending", "reverted", "pending"]
    press(page, "j", "k", "k")
    expect(page.locator(".card:focus")).to_have_count(1)


def test_how_long_and_by_what_is_told_where_it_is_measured_and_nothing_elsewhere(
    visit, queue, editor, operations, settings
):
    press(queue, "j", "a")
    expect(card(queue, operations[0])).to_contain_text("Accepted")
    card(queue, operations[1]).get_by_role("button", name="Accept").click()
    expect(card(queue, operations[1])).to_contain_text("Accepted")
    for operation, via in zip(operations, ("key", "click"), strict=False):
        assert (status(operation), operation.via) == ("applied", via)
        assert 0 <= (operation.decided_at - operation.shown_at).total_seconds() < 30
    settings.REVIEW_TIMES = False
    queue.reload()
    with queue.expect_request("**/decide/") as sent:
        press(queue, "j", "a")
    assert "seconds" not in sent.value.post_data
    assert "via" not in sent.value.post_data
    expect(card(queue, operations[2])).to_contain_text("Accepted")


def test_what_has_not_been_seen_is_not_accepted(visit, editor, propose, notes):
    (operation,) = propose(op("rewrite_note", notes["gamma"], body_markdown="Plans and more.\n" * 500))
    page = visit(editor)
    changes = held(page, "**/change/")
    page.goto(QUEUE)
    press(page, "j", "a")
    expect(page.locator("#announcement")).to_contain_text("only coming now")
    expect(card(page, operation)).to_be_focused()
    assert status(operation) == "pending"
    for change in changes:
        change.continue_()
    expect(card(page, operation).locator(".diff")).to_be_visible()
    press(page, "a")
    expect(card(page, operation)).to_contain_text("Accepted")
    assert status(operation) == "applied"
