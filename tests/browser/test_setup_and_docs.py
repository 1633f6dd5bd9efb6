"""The first page anybody sees, and the page about the API: both under the strict Content-Security-Policy."""

import pytest
from playwright.sync_api import expect

from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.services import new_setup_token
from tests.browser.conftest import nothing_sideways

PASSWORD = "a very good password"


@pytest.fixture
def stranger(chromium, live_server):
    """A page of somebody who is not logged in; what the browser complains of fails the test."""
    complaints, contexts = [], []

    def open_page(**options):
        context = chromium.new_context(base_url=live_server.url, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type in {"error", "warning"} and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def fill(page, **values):
    fields = {
        "E-mail": "first@example.org",
        "Name": "First",
        "Password": PASSWORD,
        "Password again": PASSWORD,
        **values,
    }
    for label, value in fields.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Create the account").click()


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_first_owner_is_made_with_and_without_javascript(stranger, transactional_db, scripts, width):
    page = stranger(java_script_enabled=scripts, viewport={"width": width, "height": 800})
    page.goto(f"/setup/{new_setup_token()}/")
    fill(page)
    page.wait_for_url("**/admin/**")
    assert User.objects.get(email="first@example.org").is_superuser


def test_errors_stand_beside_their_fields(stranger, transactional_db):
    page = stranger(viewport={"width": 320, "height": 800})
    with nothing_sideways(page):
        page.goto(f"/setup/{new_setup_token()}/")
    fill(page, **{"Password again": "another password"})
    again = page.get_by_label("Password again", exact=True)
    expect(again).to_have_attribute("aria-invalid", "true")
    described = again.get_attribute("aria-describedby").split()
    expect(page.locator(f"#{described[-1]}")).to_contain_text("The two passwords differ")
    assert page.evaluate("document.documentElement.lang")
    assert not User.objects.filter(is_superuser=True).exists()


def test_the_api_is_described_in_the_browser(stranger, transactional_db):
    page = stranger(viewport={"width": 1280, "height": 900})
    page.goto("/api/docs/")
    expect(page.get_by_role("heading", name="kjxlkj")).to_be_visible()
    page.locator("#operations-notes-notes_list").get_by_role("button").first.click()
    expect(page.get_by_text("tag_any").first).to_be_visible()
