"""How proposals were received, and what applies by itself: on a narrow screen, in both themes, without scripts."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from automation.services import update_rule
from librarian.models import RunReport
from tests.browser.conftest import CONTRAST, nothing_sideways

PAGE = "/admin/review/acceptance/"
LONG = "a-very-long-model-name-" * 8
AUTO = {
    "kind": "librarian_structure",
    "plan": {"review": "auto", "auto_apply": {"retag_note": 0.9, "relink_note": 0.8, "create_note": 0.9}},
}


@pytest.fixture
def history(decided, rule, owner):
    update_rule(rule, actor=owner, action_json=AUTO)
    for kind, sure, good, bad in [
        ("retag_note", 0.97, 40, 1),
        ("retag_note", 0.85, 12, 8),
        ("retag_note", 0.72, 3, 2),
        ("retitle_note", 0.9, 5, 7),
        ("relink_note", 0.93, 9, 1),
        ("rewrite_note", 0.8, 1, 3),
        ("create_note", 1.0, 2, 1),
    ]:
        decided("accepted", good, kind=kind, confidence=sure)
        decided("rejected", bad, kind=kind, confidence=sure)
    decided("accepted", 2, model=LONG)


def test_the_gates_push_the_last_runs_down(visit, owner, history, rule):
    """Where the admin's styles for forms take hold of the table, it floats over what comes next."""
    page = visit(owner)
    page.goto(reverse("admin:automation_rule_change", args=[rule.pk]))
    table, runs = (page.locator(each).bounding_box() for each in (".rule-gates table", ".rule-runs"))
    assert runs["y"] > table["y"] + table["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_every_page_fits_and_stands_out(visit, owner, history, rule, run, width, scheme):
    page = visit(owner, viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    RunReport.objects.create(run=run, provider_kind="openrouter", answers={LONG: 1}, parser_version="2")
    for url in (
        PAGE,
        reverse("admin:automation_rule_change", args=[rule.pk]),
        reverse("admin:review_report", args=[run.pk]),
    ):
        with nothing_sideways(page):
            page.goto(url)
        assert page.evaluate(CONTRAST) == [], url


def test_the_picture_has_a_name_and_a_description_and_filters_work_without_javascript(visit, viewer, history, rule):
    page = visit(viewer, java_script_enabled=False)
    page.goto("/admin/review/")
    page.get_by_role("link", name="How proposals were received").click()
    picture = page.get_by_role("img", name="How sure qwen3 was, and how much of it was accepted")
    expect(picture).to_have_accessible_description(
        "6 of 7 marks lie below the diagonal. The table tells each in numbers."
    )
    page.get_by_label("Kind").select_option("retag_note")
    page.get_by_role("button", name="Show").click()
    expect(picture.locator("polygon")).to_have_count(3)
    page.get_by_role("link", name="Show all").click()
    expect(picture.locator("polygon")).to_have_count(7)


def test_the_picture_fills_its_marks_by_its_stylesheet_alone(visit, viewer, history):
    """No mark is black, as all are where a style does not reach them."""
    page = visit(viewer)
    page.goto(PAGE)
    marks = page.locator(".reliability > svg polygon")
    fills = marks.evaluate_all("marks => [...new Set(marks.map(mark => getComputedStyle(mark).fill))]")
    assert len(fills) == 5
    assert "rgb(0, 0, 0)" not in fills
