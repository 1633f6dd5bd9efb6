"""Pictures of a vault in a real browser, under the policy that is sent with every page."""

import io

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from kjxlkj.notes.attachments import content_of, save_attachments, store
from kjxlkj.notes.models import Attachment
from tests.browser.conftest import nothing_sideways
from tests.notes.test_attachment_pages import PNG, SVG

SIZE = "image => image.complete && [image.naturalWidth, image.naturalHeight]"


@pytest.fixture
def attached(workspace, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    for path, content in {"img/logo.png": PNG, "img/evil.svg": SVG, "img/evil.png": SVG}.items():
        found = store(
            content_of(lambda content=content: io.BytesIO(content)), lambda content=content: io.BytesIO(content)
        )
        save_attachments(workspace.id, [(path, found)])
    return {attachment.path: attachment for attachment in Attachment.objects.all()}


def test_a_note_shows_its_picture_and_leads_to_its_page(visit, viewer, make_note, attached):
    note = make_note(
        "N", path="n.md", body="Our logo:\n\n![The logo](img/logo.png)\n\n![gone](https://evil.example/a.png)\n"
    )
    page = visit(viewer)
    page.goto(reverse("admin:notes_note_change", args=[note.pk]))
    picture = page.get_by_role("img", name="The logo")
    expect(picture).to_be_visible()
    assert picture.evaluate(f"async image => {{ await image.decode(); return ({SIZE})(image) }}") == [1, 1]
    page.get_by_role("link", name="img/logo.png").click()
    expect(page.get_by_role("heading", name="logo.png")).to_be_visible()
    expect(page.get_by_role("img", name="The picture logo.png")).to_be_visible()
    page.set_viewport_size({"width": 320, "height": 640})
    with nothing_sideways(page):
        page.get_by_role("link", name="N", exact=True).click()
    expect(picture).to_be_visible()


@pytest.mark.parametrize("path", ["img/evil.svg", "img/evil.png"])
@pytest.mark.parametrize("name", ["file", "picture"])
def test_a_script_in_a_picture_never_runs(visit, viewer, attached, path, name):
    page = visit(viewer)
    page.goto("/admin/")
    with page.expect_download() as download:
        page.evaluate(
            "address => { location.href = address }",
            reverse(f"admin:notes_attachment_{name}", args=[attached[path].pk]),
        )
    assert download.value.suggested_filename == path.rpartition("/")[2]
    visit.complaints[:] = [each for each in visit.complaints if "ERR_ABORTED" not in each]


def test_a_picture_opened_by_itself_stands_in_a_sandbox(visit, viewer, attached):
    page = visit(viewer)
    answer = page.goto(reverse("admin:notes_attachment_picture", args=[attached["img/logo.png"].pk]))
    assert answer.headers["content-type"] == "image/png"
    assert page.locator("img").evaluate(SIZE) == [1, 1]
    assert page.evaluate("origin") == "null"
    visit.complaints[:] = [each for each in visit.complaints if "Content Security Policy" not in each]
