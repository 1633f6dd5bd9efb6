"""What was sent, with what prompts, and what came back: pages that are read, at any width, in both themes."""

import json
from copy import deepcopy
from decimal import Decimal
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from librarian.models import Disclosure, Exchange, PromptPack, RunReport
from librarian.prompt_pack import builtin_files
from librarian.prompt_services import save_prompt_pack
from tests.browser.conftest import CONTRAST, nothing_sideways

LEDGER = "/admin/librarian/disclosure/"
LONG = "a-very-long-word-" * 20
ANSWER = "<librarian_response>\n<operations>\n{}\n</operations>\n</librarian_response>\n"


@pytest.fixture
def exchanges(run):
    """A run of more requests than a page lists; the last was asked three times, and differently."""
    values = {"run": run, "provider_kind": "openrouter", "host": "openrouter.ai", "model": f"vendor/{LONG}"[:200]}
    values |= {"prompt": "What is to be done?\n", "answered_at": timezone.now(), "http_status": 200, "latency_ms": 812}
    values |= {"prompt_tokens": 1200, "completion_tokens": 340, "cost": Decimal("0.0123"), "stage": "propose"}
    Exchange.objects.bulk_create(Exchange(index=number, **values) for number in range(230))
    failed = {"failure": "rate_limited", "failure_detail": f"Slow down. {LONG}", "http_status": 429}
    return [
        Exchange.objects.create(index=230, response="Too many requests.\n", **(values | failed)),
        Exchange.objects.create(
            index=230, attempt=2, response=ANSWER.format("<kind>retag</kind>\n<x>" + LONG), **values
        ),
        Exchange.objects.create(
            index=230,
            response=ANSWER.format("<kind>retag_note</kind>\n<y>" + LONG),
            **(values | {"stage": "validate_repair", "prompt": f"Mend this. {LONG}\n"}),
        ),
    ]


@pytest.fixture
def report(run):
    return RunReport.objects.create(
        run=run,
        provider_kind="openrouter",
        answers={"m": 231},
        parser_version="2",
        prompt_pack_version="workspace 1",
        prompt_hash="5" * 64,
        requests=233,
    )


@pytest.fixture
def ledger(run, notes, exchanges):
    return Disclosure.objects.bulk_create(
        Disclosure(
            workspace=run.workspace,
            note=note,
            note_version=1,
            sha256="5" * 64,
            part=part,
            host=host,
            run_id=run.pk,
            exchange_id=exchanges[-1].pk if number else uuid4(),
        )
        for host in ("openrouter.ai", f"{LONG}.example"[-255:])
        for part in ("text", "mention")
        for number, note in enumerate(notes.values())
    )


@pytest.fixture
def own_files():
    files = deepcopy(builtin_files())
    files["propose.json"]["system_prompt"] = f"Propose well. {LONG}\n" + files["propose.json"]["system_prompt"]
    files["propose.json"]["temperature"] = 0.7
    return files


@pytest.fixture
def pages(run, exchanges, report, ledger, notes, workspace, owner, own_files):
    save_prompt_pack(workspace, own_files, actor=owner)
    prompts = reverse("admin:librarian_prompts", args=[workspace.pk])
    return {
        "ledger": LEDGER,
        "ledger-of-a-note": f"{LEDGER}?note={notes['alpha'].pk}&host=openrouter.ai",
        "ledger-row": f"{LEDGER}{ledger[1].pk}/change/",
        "note": reverse("admin:notes_note_change", args=[notes["alpha"].pk]),
        "report": reverse("admin:review_report", args=[run.pk]),
        "report-2": reverse("admin:review_report", args=[run.pk]) + "?page=2",
        "exchange": reverse("admin:review_exchange", args=[run.pk, exchanges[-1].pk]),
        "exchange-failed": reverse("admin:review_exchange", args=[run.pk, exchanges[0].pk]),
        "prompts": prompts,
        "prompts-built-in": f"{prompts}?version=built-in%201",
        "workspace": reverse("admin:workspaces_workspace_change", args=[workspace.pk]),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_scrolls_sideways_and_all_texts_stand_out(visit, owner, pages, width, scheme):
    page = visit(owner, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for name, address in pages.items():
        with nothing_sideways(page):
            page.goto(address)
            page.evaluate("document.querySelectorAll('main details').forEach(each => { each.open = true; })")
        assert page.evaluate(CONTRAST) == [], name
        assert page.locator("h1").count() == 1, name
        assert page.evaluate(NAMELESS) == [], name


# WCAG 1.3.1, 4.1.1, 4.1.2: fields without a label, links and buttons without a name, ids that stand twice.
NAMELESS = """() => {
  const bad = [];
  for (const e of document.querySelectorAll("main input:not([type=hidden], [type=submit]), main textarea, main select"))
    if (!e.labels.length && !e.getAttribute("aria-label")) bad.push(e.outerHTML.slice(0, 80));
  for (const e of document.querySelectorAll("main a[href], main button, main summary"))
    if (!(e.textContent.trim() || e.getAttribute("aria-label"))) bad.push(e.outerHTML.slice(0, 80));
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  return [...bad, ...ids.filter((id, i) => ids.indexOf(id) !== i)];
}"""


def test_from_a_note_to_what_went_where_and_on_to_the_request(visit, viewer, pages):
    page = visit(viewer)
    page.goto(pages["note"])
    page.get_by_role("link", name="Sent to 2 hosts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What was sent where")
    expect(page.locator("#result_list tbody tr")).to_have_count(4)
    page.get_by_role("searchbox").or_(page.locator("#searchbar")).first.fill("nothing like it")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list")).to_have_count(0)
    page.goto(LEDGER)
    page.get_by_role("link", name="request 230").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Request 230, validate_repair")


@pytest.mark.parametrize("scripts", [True, False])
def test_all_requests_are_reached_by_keyboard(visit, viewer, run, pages, scripts):
    page = visit(viewer, java_script_enabled=scripts)
    page.goto(pages["report"])
    for number in (2, 3):
        following = page.get_by_role("link", name="Next")
        following.focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**?page={number}*")
    expect(page.get_by_role("link", name="Page 3")).to_have_attribute("aria-current", "page")
    expect(page.get_by_text("201–233 of 233.")).to_be_visible()
    expect(page.get_by_role("link", name="validate_repair 230, attempt 1")).to_be_visible()


def test_another_try_is_chosen_to_compare_with(visit, viewer, pages):
    page = visit(viewer)
    page.goto(pages["exchange"])
    expect(page.get_by_role("region", name="Response").locator("del").first).to_contain_text("<kind>retag</kind>")
    page.get_by_role("link", name="Compare with propose, attempt 1").click()
    expect(page.get_by_role("region", name="Response").locator("del")).to_have_text("Too many requests.")


@pytest.mark.parametrize("scripts", [True, False])
def test_prompts_are_pasted_refused_mended_uploaded_and_taken_back(visit, admin, workspace, own_files, scripts):
    page = visit(admin, java_script_enabled=scripts)
    page.goto(reverse("admin:workspaces_workspace_change", args=[workspace.pk]))
    page.get_by_role("link", name="Prompts for models").click()
    text = page.get_by_label("Text:")
    broken = {**own_files, "plan.json": own_files["plan.json"] | {"temperature": "hot"}}
    text.fill(json.dumps({"files": broken}))
    page.get_by_role("button", name="Check and use them").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed.")
    described = [page.locator(f"#{each}") for each in text.get_attribute("aria-describedby").split()]
    assert any("plan.json.temperature: expected a number" in each.inner_text() for each in described)
    assert json.loads(text.input_value()) == {"files": broken}
    file = {"name": "prompts.json", "mimeType": "application/json", "buffer": json.dumps({"files": own_files}).encode()}
    page.get_by_label("File:").set_input_files(file)
    page.get_by_role("button", name="Check and use them").click()
    expect(page.get_by_role("region", name="propose.json.temperature").locator("ins")).to_have_text("7")
    assert PromptPack.objects.get().files == own_files
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download").click()
    assert json.loads(taken.value.path().read_text(encoding="utf-8")) == {"files": own_files}
    page.get_by_role("button", name="Go back to the built-in prompts").click()
    expect(page.get_by_text("Runs that begin from now on use the built-in prompts.")).to_be_visible()
    assert not PromptPack.objects.filter(active=True).exists()
