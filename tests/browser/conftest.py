"""A real browser on a real server. What it complains of (console, CSP, failed requests) fails the test."""

import os
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import sync_playwright

from tests.browser.chromium import find

# The librarian's fixtures.
from tests.librarian.conftest import busy, check, decided, make_run, notes, propose, rule, run  # noqa: F401

# Playwright runs an event loop in this thread, where the ORM otherwise refuses to work.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    path = find()
    if path is None:
        pytest.skip("no Chromium found: python -m tests.browser.chromium installs one")
    with sync_playwright() as playwright:
        # Without its sandbox, which root and containers do not have; it loads nothing but our own pages.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, live_server):
    """A page of a person who is logged in. A test that provokes complaints takes them from `visit.complaints`."""
    complaints = []
    contexts = []
    under_way = set()

    def open_page(user, **options):
        session = Client()
        session.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        context = chromium.new_context(
            base_url=live_server.url, **{"viewport": {"width": 1280, "height": 900}, **options}
        )
        context.add_cookies(
            [
                {
                    "name": settings.SESSION_COOKIE_NAME,
                    "value": session.cookies[settings.SESSION_COOKIE_NAME].value,
                    "url": live_server.url,
                }
            ]
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type in {"error", "warning"} and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.extend(failures(request)))
        page.on("request", lambda request: under_way.add(request))
        page.on("requestfinished", lambda request: under_way.discard(request))
        page.on("requestfailed", lambda request: under_way.discard(request))
        page.on("response", lambda answer: answer.status >= 400 and complaints.append(f"{answer.status} {answer.url}"))
        return page

    open_page.complaints = complaints
    yield open_page
    # What the server still works on would meet the emptying of the tables.
    deadline = monotonic() + 5
    while under_way and monotonic() < deadline:
        contexts[0].pages[0].evaluate("1")  # lets the events come in
    for context in contexts:
        context.close()
    assert complaints == []


# WCAG 1.4.3: texts that do not stand out from their ground.
CONTRAST = """() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const lum = ([r, g, b]) => { const f = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const ground = element => { for (let e = element; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const style = getComputedStyle(e);
    if (!own || !e.offsetParent || e.closest(".visually-hidden, svg, select, .skip-to-content-link")) continue;
    const a = lum(parse(style.color)), b = lum(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const text = e.textContent.trim().slice(0, 40);
    if (ratio < (large ? 3 : 4.5)) bad.push(`${ratio.toFixed(2)} ${e.tagName}.${e.className} ${text}`);
  }
  return [...new Set(bad)];
}"""


@contextmanager
def nothing_sideways(page):
    yield
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0, f"{page.url} scrolls sideways by {wide} px"


def failures(request):
    """What failed, but for what the page itself gave up when it went on to another."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.url}: {request.failure}"]
