"""Reviewing as people do: by mouse, by keyboard, without JavaScript, on a narrow screen, in both themes."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from automation.services import create_rule, launch_rule
from kjxlkj.jobs.services import execute
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note, update_note
from tests.browser.conftest import CONTRAST, nothing_sideways
from tests.librarian.conftest import op

QUEUE = "/admin/review/"
LONG = "a-very-long-word-" * 20


@pytest.fixture
def operations(propose, notes):
    return propose(
        op("retag_note", notes["alpha"], tags=("one", "two")),
        op("retitle_note", notes["beta"], title=f"Beta {LONG}"[:180]),
        op("relink_note", notes["alpha"], links=[("Gamma plan", "Gamma plan")]),
        op("rewrite_note", notes["gamma"], body_markdown=f"Other plans.\n\n    {LONG * 5}\n"),
        op(
            "create_note",
            target_path=f"new/{LONG}.md",
            title="New",
            body_markdown=f"# New\n\n`{LONG}`\n\n|a|b|\n|-|-|\n|{LONG}|b|\n",
        ),
        op("defer", notes["alpha"], reason=f"Which? {LONG}"),
    )


def status(operation):
    operation.refresh_from_db()
    return operation.status


def test_by_mouse(visit, editor, operations, notes):
    page = visit(editor)
    page.goto(QUEUE)
    first, second = (page.locator(f"#card-{each.id}") for each in operations[:2])
    first.get_by_role("button", name="Accept").click()
    expect(first).to_contain_text("Accepted")
    expect(second).to_be_focused()
    expect(page.locator("#announcement")).to_have_text("Accepted: retag, alpha.md.")
    expect(page.locator("[data-pending-count]")).to_have_text("5")
    second.get_by_text("Reject").first.click()
    second.get_by_role("button", name="Not useful").click()
    expect(second).to_contain_text("Not useful")
    first.get_by_role("button", name="Undo").click()
    expect(first).to_contain_text("Undone")
    assert [status(each) for each in operations[:2]] == ["reverted", "rejected"]


def test_by_keyboard_alone(visit, editor, operations, notes):
    page = visit(editor)
    page.goto(QUEUE)
    cards = [page.locator(f"#card-{each.id}") for each in operations]
    accept = cards[0].get_by_role("button", name="Accept")
    for _ in range(40):
        page.keyboard.press("Tab")
        if accept.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(cards[1]).to_be_focused()
    # From the focused card: its note, its run, then its buttons.
    for name in ("Accept", "Edit"):
        target = cards[1].get_by_text(name, exact=True)
        for _ in range(8):
            page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                break
        expect(target).to_be_focused()
    page.keyboard.press("Enter")
    title = cards[1].get_by_role("textbox", name="Title")
    expect(title).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("Betamax")
    page.keyboard.press("Enter")
    expect(cards[2]).to_be_focused()
    expect(cards[1]).to_contain_text("Accepted with edits")
    assert [status(each) for each in operations[:2]] == ["applied", "applied"]
    notes["beta"].refresh_from_db()
    assert notes["beta"].title == "Betamax"


def test_without_javascript(visit, editor, operations, notes):
    page = visit(editor, java_script_enabled=False)
    page.goto(QUEUE)
    page.locator(f"#card-{operations[0].id}").get_by_role("button", name="Accept").click()
    expect(page.locator(".messagelist")).to_contain_text("Accepted: retag, alpha.md.")
    expect(page.locator(f"#card-{operations[0].id}")).to_have_count(0)
    card = page.locator(f"#card-{operations[1].id}")
    card.get_by_text("Reject").first.click()
    card.get_by_label("Reason, in your words").fill("No, thanks")
    card.get_by_role("button", name="Reject", exact=True).click()
    card = page.locator(f"#card-{operations[2].id}")
    card.get_by_role("link", name="Edit").click()
    page.get_by_label("Linked note").fill("docs/beta")
    page.get_by_role("button", name="Save and accept").click()
    assert page.url.endswith(QUEUE)
    assert [status(each) for each in operations[:3]] == ["applied", "rejected", "applied"]
    assert operations[1].reject_reason == "No, thanks"
    notes["alpha"].refresh_from_db()
    assert "[[docs/beta|Gamma plan]]" in notes["alpha"].body


def test_enter_in_the_reason_gives_the_reason_typed_and_no_other(visit, editor, operations):
    for script in (True, False):
        page = visit(editor, java_script_enabled=script)
        page.goto(QUEUE)
        operation = next(each for each in operations if status(each) == "pending")
        card = page.locator(f"#card-{operation.id}")
        card.get_by_text("Reject").first.click()
        card.get_by_label("Reason, in your words").fill("No, thanks")
        card.get_by_label("Reason, in your words").press("Enter")
        expect(page.locator("main")).to_contain_text("Rejected: " if not script else "No, thanks")
        expect(card.get_by_role("button", name="Reject")).to_have_count(0)
        assert (status(operation), operation.reject_reason) == ("rejected", "No, thanks")


def test_without_javascript_all_else_can_be_done_too(visit, editor, owner, operations, notes):
    """Undo, the whole note, two columns, three versions and their edit; what needs a script says so."""
    page = visit(editor, java_script_enabled=False)
    page.goto(QUEUE)
    expect(page.get_by_role("region", name="Keys")).to_contain_text("need JavaScript")
    expect(page.get_by_role("button", name="Keys")).not_to_be_visible()
    card = page.locator(f"#card-{operations[1].id}")
    card.get_by_role("link", name="Whole note").click()
    expect(page.get_by_label("Text of the note")).to_contain_text("Nothing here.")
    page.get_by_role("link", name="As source").click()
    expect(page.get_by_label("Source of the note")).to_contain_text("# Beta")
    page.get_by_role("link", name="Back to the proposal").click()
    page.get_by_role("button", name="Accept").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".messagelist")).to_contain_text("Undone: ")
    update_note(notes["gamma"], base_version=1, cause=by(owner), body="Plans, by a person.\n")
    page.goto(reverse("admin:review_operation", args=[operations[3].id]))
    page.get_by_role("link", name="Side by side").click()
    expect(page.get_by_role("columnheader", name="Before")).to_be_visible()
    page.get_by_role("link", name="Show the three versions").click()
    expect(page.get_by_role("heading", name="The note now")).to_be_visible()
    page.get_by_role("link", name="Back to the proposal").click()
    page.get_by_role("link", name="Edit the two into one").click()
    page.get_by_role("textbox", name="Text").fill("Both.\n")
    page.get_by_role("button", name="Save and accept").click()
    notes["gamma"].refresh_from_db()
    assert notes["gamma"].body == "Both.\n"


def test_a_conflict_is_told_and_accepted_for_the_present_text(visit, editor, operations, notes):
    page = visit(editor)
    page.goto(QUEUE)
    update_note(notes["alpha"], base_version=1, cause=by(editor), tags=["one", "mine"])
    card = page.locator(f"#card-{operations[0].id}")
    card.get_by_role("button", name="Accept").click()
    expect(card.get_by_role("alert")).to_contain_text("has changed since")
    expect(page.locator(f"#card-{operations[1].id}")).to_be_focused()
    expect(page.locator("[data-pending-count]")).to_have_text("6")
    page.get_by_label("Not done").get_by_role("link").click()
    expect(card).to_be_focused()
    card.get_by_role("button", name="Accept for the present text").click()
    expect(card).to_contain_text("Accepted")
    notes["alpha"].refresh_from_db()
    assert notes["alpha"].tags == ["mine", "one", "two"]


def test_cancelling_an_edit_brings_the_buttons_back(visit, editor, operations):
    page = visit(editor)
    page.goto(QUEUE)
    card = page.locator(f"#card-{operations[0].id}")
    card.get_by_role("link", name="Edit").click()
    expect(card.get_by_role("button", name="Save and accept")).to_be_visible()
    card.get_by_role("link", name="Cancel").click()
    expect(card.get_by_role("button", name="Accept", exact=True)).to_be_visible()


def test_the_login_leads_to_the_queue(visit, editor, operations, live_server):
    editor.set_password("correct horse battery staple")
    editor.save()
    page = visit(editor)
    page.context.clear_cookies()
    page.goto("/")
    page.get_by_label("Email").fill(editor.email)
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Log in").click()
    assert page.url == live_server.url + QUEUE


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_320_pixels(visit, superuser, operations, notes, run, workspace, scheme):
    made = create_rule(workspace, actor=superuser, name=LONG[:200], action_json={"kind": "librarian_structure"})
    update_note(notes["alpha"], base_version=1, cause=by(superuser), body=f"{LONG}\n\n    {LONG}\n", title=LONG[:200])
    update_note(notes["gamma"], base_version=1, cause=by(superuser), body=f"Moved on.\n\n    {LONG}\n")
    page = visit(superuser, viewport={"width": 320, "height": 640}, color_scheme=scheme)
    alpha = [notes["alpha"].id]
    for url in [
        QUEUE,
        reverse("admin:review_run", args=[run.id]),
        reverse("admin:review_edit", args=[operations[4].id]),
        reverse("admin:review_note", args=[operations[3].id]),
        reverse("admin:review_side", args=[operations[3].id]),
        reverse("admin:review_versions", args=[operations[3].id]),
        reverse("admin:notes_note_change", args=alpha),
        reverse("admin:notes_note_edit", args=alpha),
        reverse("admin:notes_note_version", args=[*alpha, 2]),
        reverse("admin:notes_note_changelist") + "?q=very",
        reverse("admin:automation_rule_change", args=[made.id]),
        reverse("admin:automation_run_change", args=[run.id]),
        reverse("admin:exports_exportjob_changelist"),
        "/admin/",
    ]:
        with nothing_sideways(page):
            page.goto(url)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(visit, superuser, operations, notes, run, scheme):
    """WCAG 1.4.3, on the pages where people read most."""
    update_note(notes["gamma"], base_version=1, cause=by(superuser), body="Moved on.\n")
    page = visit(superuser, color_scheme=scheme, reduced_motion="reduce")
    for url in [
        QUEUE,
        reverse("admin:review_run", args=[run.id]),
        reverse("admin:review_operation", args=[operations[3].id]) + "?diff=side",
        reverse("admin:review_versions", args=[operations[3].id]),
        reverse("admin:notes_note_change", args=[notes["gamma"].id]),
        reverse("admin:notes_note_changelist"),
        reverse("admin:automation_run_change", args=[run.id]),
        "/admin/",
    ]:
        page.goto(url)
        assert page.evaluate(CONTRAST) == [], url


def test_the_queue_fills_by_itself_when_the_run_under_way_is_done(visit, editor, owner, workspace, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    create_note(workspace, NewNote("Untitled", "# A heading worth a title\n", "Untitled.md"), cause=by(owner))
    rule = create_rule(workspace, actor=owner, name="R", action_json={"kind": "librarian_structure"})
    (run,) = launch_rule(rule, actor=owner).runs
    page = visit(editor)
    page.goto("/")
    expect(page).to_have_url(re.compile(QUEUE))
    expect(page.locator("#queue")).to_contain_text("The librarian is reading")
    execute("automation.run", run.id)
    expect(page.locator(".card")).to_contain_text("A heading worth a title")
    expect(page.locator("#review-title")).to_contain_text("1 pending")
