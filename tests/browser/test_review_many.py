"""Groups, many at once and their undo, as people meet them: by mouse, without JavaScript, on a narrow screen."""

from itertools import combinations
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_notes, update_note
from librarian.batches import decide_together
from librarian.models import Batch, Operation
from tests.browser.conftest import CONTRAST, nothing_sideways

QUEUE, BULK, BATCHES = "/admin/review/", "/admin/review/together/", "/admin/review/batches/"
LONG = "a-very-long-word-" * 10


@pytest.fixture
def alike(workspace, run, owner):
    """The same tag on 14 notes, and five rewrites."""
    new = [NewNote(f"Note {number:02} {LONG}", "Text.\n", f"{LONG}/{number}.md") for number in range(14)]
    notes = create_notes(workspace, new, cause=by(owner))
    made = [("retag_note", note, "+billing") for note in notes] + [("rewrite_note", note, "") for note in notes[:5]]
    return Operation.objects.bulk_create(
        Operation(
            workspace=workspace,
            run=run,
            index=number,
            operation_id="op",
            fingerprint=str(uuid4()),
            kind=kind,
            target_note=note,
            target_path=note.path,
            tags=["billing"],
            body_markdown="Other words.\n",
            change_key=key,
            reason=f"because {LONG}",
            confidence=0.5 + number / 100,
            base_version=1,
        )
        for number, (kind, note, key) in enumerate(made)
    )


def statuses(operations):
    found = dict(Operation.objects.filter(pk__in=[each.pk for each in operations]).values_list("pk", "status"))
    return [found[each.pk] for each in operations]


def test_a_group_by_mouse(visit, editor, owner, alike):
    page = visit(editor)
    page.goto(QUEUE)
    group = page.locator(".card.group")
    ticks = group.get_by_role("checkbox", include_hidden=True)
    # The others come when the card is looked at, and are ticked.
    expect(ticks).to_have_count(14)
    group.get_by_label("Note 01").uncheck()
    update_note(alike[2].target_note, base_version=1, cause=by(owner), tags=["mine"])
    group.get_by_role("button", name="Accept ticked").click()
    answer = page.locator(".card.group")
    expect(answer).to_contain_text("Add tag billing: 12 of 13 accepted")
    expect(answer).to_contain_text("The note has changed since")
    expect(page.locator("#announcement")).to_have_text("12 accepted, 1 not.")
    assert statuses(alike[:4]) == ["applied", "pending", "pending", "applied"]
    answer.get_by_role("button", name="Undo all 12").click()
    expect(answer).to_contain_text("12 undone.")
    assert statuses(alike[:4]) == ["reverted", "pending", "pending", "reverted"]


def test_a_reason_typed_and_sent_by_enter_rejects(visit, editor, alike):
    page = visit(editor)
    page.goto(QUEUE)
    group = page.locator(".card.group")
    expect(group.get_by_role("checkbox", include_hidden=True)).to_have_count(14)
    group.get_by_text("Reject ticked").click()
    group.get_by_label("Reason, in your words").fill("No, thanks")
    group.get_by_label("Reason, in your words").press("Enter")
    expect(page.locator(".card.group")).to_contain_text("14 of 14 rejected")
    assert set(Operation.objects.filter(kind="retag_note").values_list("reject_reason", flat=True)) == {"No, thanks"}


def test_many_by_mouse_and_their_undo(visit, editor, alike):
    page = visit(editor)
    page.goto(QUEUE)
    page.get_by_label("Kind").select_option("retag_note")
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_role("link", name="Accept all 14 of these…").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Accept 14 proposals")
    expect(page.locator(".sampled .card")).to_have_count(10)
    page.get_by_label("Accept this one: Note 00").uncheck()
    page.get_by_role("button", name="Accept those ticked").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("13 of 13 accepted")
    assert statuses(alike[:14]) == ["pending"] + ["applied"] * 13
    page.get_by_role("link", name="Back to the queue").click()
    expect(page.locator(".card.pending")).to_have_count(1)
    page.get_by_role("link", name="What I decided at once").click()
    page.get_by_role("button", name="Undo all 13").click()
    expect(page.locator(".notice")).to_contain_text("13 undone.")
    assert statuses(alike[:14]) == ["pending"] + ["reverted"] * 13


def test_changes_come_when_they_are_looked_at(visit, editor, alike):
    page = visit(editor)
    page.goto(QUEUE + "?kind=rewrite_note")
    last = page.locator(f"#card-{alike[18].pk}")
    expect(last.get_by_text("Show what changes")).to_have_count(1)
    last.scroll_into_view_if_needed()
    expect(last.locator("ins")).to_contain_text("Other words")


@pytest.mark.parametrize("width", [320, 1280])
def test_no_filter_lies_over_another(visit, editor, alike, width):
    page = visit(editor, viewport={"width": width, "height": 800})
    page.goto(QUEUE)
    boxes = [
        each.bounding_box() for each in page.locator(".filters :is(input:not([type=hidden]), select, button)").all()
    ]
    assert len(boxes) == 9
    for one, other in combinations(boxes, 2):
        apart = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        assert apart or one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]


def test_without_javascript(visit, editor, alike):
    page = visit(editor, java_script_enabled=False)
    page.goto(QUEUE)
    group = page.locator(".card.group")
    group.get_by_label("Note 00").uncheck()
    group.get_by_text("Reject ticked").click()
    group.get_by_role("button", name="Not useful").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("9 of 9 rejected")
    page.get_by_role("button", name="Undo all 9").click()
    expect(page.locator(".notice").first).to_contain_text("9 undone.")
    assert set(statuses(alike)) == {"pending"}
    page.get_by_role("link", name="Back to the queue").click()
    late = page.locator(f"#card-{alike[17].pk}")
    expect(late.get_by_role("button", name="Accept")).to_be_hidden()
    late.get_by_role("link", name="Show what changes").click()
    expect(page.locator("ins")).to_contain_text("Other words")
    expect(late.get_by_role("button", name="Accept")).to_be_visible()
    page.goto(QUEUE + "?kind=retag_note&confidence=0.5")
    page.get_by_role("link", name="Reject all…").click()
    page.get_by_label("Too risky").check()
    page.get_by_role("button", name="Reject those ticked").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("14 of 14 rejected")
    assert Batch.objects.first().reason == "Too risky"


def addresses(editor, alike):
    batch, _ = decide_together([alike[0].pk, alike[14].pk], "reject", actor=editor, reason=LONG)
    decide_together([alike[1].pk, alike[14].pk], "apply", actor=editor)
    return [QUEUE, f"{BULK}?kind=retag_note&decision=reject", f"{BATCHES}{batch.pk}/", BATCHES]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_320_pixels_and_its_texts_stand_out(visit, editor, alike, scheme):
    found = addresses(editor, alike)
    page = visit(editor, viewport={"width": 320, "height": 640}, color_scheme=scheme, reduced_motion="reduce")
    for url in found:
        with nothing_sideways(page):
            page.goto(url)
            if url == QUEUE:
                page.locator(".card.group .rest summary").click()
                expect(page.get_by_label("Note 13")).to_be_visible()
        assert page.evaluate(CONTRAST) == [], url
