"""The front page in a browser: it fits, it reads well in both themes, and its figures lead where they say."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.conftest import CONTRAST, nothing_sideways
from tests.librarian.test_dashboard import INDEX, OPERATIONS

LONG_NAME = "a-model-whose-name-is-longer-than-any-line-can-be/" * 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_and_its_texts_stand_out(visit, busy, decided, superuser, scheme, width):
    decided("accepted", model=LONG_NAME)
    page = visit(superuser, viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    for url in (INDEX, f"{OPERATIONS}?decided=30&verdict=accepted"):
        with nothing_sideways(page):
            page.goto(url)
            if url == INDEX:
                page.get_by_text("By day, as a table").click()
        assert page.evaluate(CONTRAST) == [], url


@pytest.mark.parametrize("width", [320, 1280])
def test_there_are_two_columns_where_there_is_room(visit, busy, owner, width):
    page = visit(owner, viewport={"width": width, "height": 800})
    page.goto(INDEX)
    columns = page.locator(".panels").evaluate("e => getComputedStyle(e).gridTemplateColumns.split(' ').length")
    assert columns == (2 if width == 1280 else 1)


def test_the_first_start_fits_too(visit, notes, owner):
    page = visit(owner, viewport={"width": 320, "height": 800})
    with nothing_sideways(page):
        page.goto(INDEX)
    page.get_by_role("region", name="What comes next").get_by_role("link", name="Rules").click()
    expect(page).to_have_url(re.compile("/admin/automation/rule/"))


def test_figures_lead_to_what_they_count(visit, busy, owner):
    page = visit(owner)
    page.goto(INDEX)
    page.get_by_role("region", name="Decisions").get_by_role("link", name="7 accepted").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(7)
    page.goto(INDEX)
    page.get_by_role("region", name="Acceptance by model").get_by_role("link", name="100 % of 2").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.goto(INDEX)
    page.get_by_role("region", name="Runs").get_by_role("link", name="2 × failed: R").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.goto(INDEX)
    page.get_by_role("region", name="Waiting for review").get_by_role("link", name="2 proposals wait in Team").click()
    expect(page.locator(".card")).to_have_count(2)


def test_the_picture_has_a_name_and_its_table_the_figures(visit, decided, owner):
    yesterday = timezone.now() - timedelta(days=1)
    decided("rejected", 3, decided_at=yesterday)
    page = visit(owner)
    page.goto(INDEX)
    expect(page.get_by_role("img", name="Decisions of each day")).to_be_visible()
    page.get_by_text("By day, as a table").focus()
    page.keyboard.press("Enter")
    row = page.get_by_role("row", name=f"{yesterday:%-d %b %Y}")
    row.get_by_role("link", name="3").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(3)


def test_what_is_drawn_is_told_apart_without_colours(visit, busy, owner):
    page = visit(owner, forced_colors="none")
    page.goto(INDEX)
    drawn = {each.get_attribute("fill") for each in page.locator("figure.chart rect[fill]").all()}
    assert len(drawn) == 5
    for fill in drawn:
        pattern = page.locator(fill.removeprefix("url(").removesuffix(")"))
        lines = pattern.locator("path").all()
        assert bool(lines) == ("accepted" not in fill)
