"""The front page: every figure is that of the list it leads to, and nobody learns what they may not see."""

import re
from datetime import UTC, datetime, time, timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from automation.models import Run
from librarian import figures
from librarian.acceptance import acceptance
from librarian.models import Operation
from librarian.services import Decision, review
from librarian.verdicts import Verdict
from tests.librarian.conftest import fail, op

INDEX, OPERATIONS = "/admin/", "/admin/librarian/operation/"

pytestmark = pytest.mark.django_db


def browser(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(client, url=INDEX):
    response = client.get(url)
    assert response.status_code == 200, url
    return response.content.decode()


def text(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def figures_of(html):
    """The addresses of links that begin with a number, and the number."""
    links = re.findall(
        r'<a href="([^"]+)">(?:<strong>)?(?:[\d.]+ % of )?(\d+)\b(?! queued,)', html[html.index('class="panels"') :]
    )
    return [(unescape(url), int(number)) for url, number in links]


def listed(client, url):
    html = page(client, url)
    if "/review/" in url:
        return int(re.search(r'data-pending-count="(\d+)"', html)[1])
    return int(re.search(r"(\d+) (?:run|operation)s?\s*</", html)[1])


class TestFigures:
    @pytest.mark.parametrize("role", ["owner", "viewer", "superuser"])
    def test_each_is_that_of_the_list_it_leads_to(self, request, busy, role):
        client = browser(request.getfixturevalue(role))
        found = figures_of(page(client))
        # 1 + 1 waiting, running, queued, failed, 1 of two failures, 5 totals, 9 of days, 5 + 6 of kinds and models …
        assert len(found) > 30
        for url, number in found:
            assert listed(client, url) == number, url

    def test_tell_what_is_there(self, busy, owner):
        told = text(page(browser(owner)))
        for words in (
            "2 proposals wait in Team",
            "1 running",
            "3 failed",
            "7 accepted",
            "3 edited first",
            "4 rejected",
            "3 undone",
            "6 applied by a rule",
        ):
            assert words in told

    def test_are_those_of_acceptance_elsewhere(self, busy, owner, workspace):
        found = figures.decisions(owner, timezone.now() - timedelta(days=60))
        rows = acceptance(Operation.objects.filter(workspace=workspace))
        for group, key in ((found.by_kind, "kind"), (found.by_model, "model")):
            for name, counts in group.items():
                of_it = [row for row in rows if getattr(row, key) == name]
                people = sum(number for verdict, number in counts.items() if verdict != Verdict.BY_RULE)
                assert people == sum(row.decided for row in of_it)
                assert counts.get(Verdict.ACCEPTED, 0) == sum(row.accepted for row in of_it)

    def test_a_day_begins_at_midnight(self, decided, owner):
        midnight = datetime.combine(timezone.now().date(), time.min, UTC)
        first = midnight - timedelta(days=29)
        decided("accepted", decided_at=first)
        decided("rejected", decided_at=first - timedelta(microseconds=1))
        client = browser(owner)
        told = text(page(client))
        assert "1 accepted" in told
        assert "0 rejected" in told
        assert listed(client, f"{OPERATIONS}?decided={first.date()}") == 1
        assert listed(client, f"{OPERATIONS}?decided={first.date() - timedelta(days=1)}") == 1

    def test_the_times_are_medians_and_90_percent_by_way_of_deciding(self, decided, owner):
        now = timezone.now()
        for via, seconds in (("key", range(1, 12)), ("bulk", [100, 200])):
            for each in seconds:
                decided("accepted", via=via, decided_at=now, shown_at=now - timedelta(seconds=each))
        decided("accepted", via="api", decided_at=now, shown_at=now - timedelta(seconds=500))
        since = now - timedelta(days=1)
        found = {row.via: (row.count, row.median, row.p90) for row in figures.times(owner, since)}
        assert found["key"] == (11, 6.0, 10.0)
        assert found["bulk"] == (2, 150.0, 190.0)
        assert found[""][:2] == (13, 7.0)
        assert list(found) == ["key", "bulk", ""]

    def test_times_are_left_out_where_they_are_switched_off(self, busy, owner, settings):
        assert "By key" in text(page(browser(owner)))
        settings.REVIEW_TIMES = False
        told = text(page(browser(owner)))
        assert "Not measured here: it is switched off." in told
        assert "By key" not in told

    def test_the_picture_tells_in_words_where_its_figures_are(self, busy, owner):
        html = page(browser(owner))
        assert re.search(r'<svg[^>]+role="img" aria-labelledby="days-title days-desc">\s*<title id="days-title">', html)
        assert '<desc id="days-desc">' in html
        assert "style=" not in html[html.index('class="panels"') :]


class TestFailures:
    def test_tell_rule_code_why_and_when(self, make_run, owner):
        fail(make_run(), ago=timedelta(hours=3, minutes=1))
        told = text(page(browser(owner)))
        assert re.search(r"R AUTH_FAILED 3\Whours, 1\Wminute ago More of it\.", told)

    def test_the_same_again_and_again_is_one_line(self, make_run, owner):
        for hours in range(40):
            fail(make_run(), ago=timedelta(hours=hours))
        fail(make_run(), code="TIMEOUT")
        html = page(browser(owner))
        assert html.count("AUTH_FAILED</code>") == 1
        assert "40 ×" in html
        assert "0 running" in text(html)
        assert "41 failed" in text(html)

    def test_are_forgotten_after_a_week(self, make_run, owner):
        fail(make_run(), ago=timedelta(days=8))
        assert "AUTH_FAILED" not in page(browser(owner))


class TestWhoSeesWhat:
    def test_strangers_see_nothing_of_it(self, busy, outsider):
        html = page(browser(outsider))
        for word in ("Team", "AUTH_FAILED", "qwen3", "docs/beta.md"):
            assert word not in html
        assert figures_of(html) == [(url, 0) for url, _ in figures_of(html)]

    def test_people_see_whether_anybody_works_and_no_more(self, viewer):
        assert "Nobody works: what is queued waits." in text(page(browser(viewer)))
        assert "/admin/workers/" not in page(browser(viewer))


class TestQueries:
    @pytest.mark.parametrize("role", ["owner", "superuser"])
    def test_are_as_many_whatever_there_is(self, request, busy, decided, make_run, propose, notes, role):
        client = browser(request.getfixturevalue(role))

        def asked():
            with CaptureQueriesContext(connection) as queries:
                client.get(INDEX)
            return len(queries)

        before = asked()
        for number in range(20):
            decided("accepted", 3, model=f"model {number}", decided_at=timezone.now() - timedelta(days=number))
            fail(make_run(), code=f"CODE_{number}")
            propose(op("retitle_note", notes["gamma"], title=f"Gamma {number}"))
        assert asked() == before
        assert before < 25


class TestFirstStart:
    def test_says_what_comes_next(self, owner, workspace):
        told = text(page(browser(owner)))
        assert "What comes next" in told
        assert "Now Notes : import a vault" in told
        for zeros in ("Acceptance by kind", "Waiting for review", "0 running"):
            assert zeros not in told

    def test_with_notes_a_rule_comes_next(self, owner, notes):
        assert "Now Rules : launch one" in text(page(browser(owner)))

    def test_with_a_run_under_way_the_librarian_reads(self, owner, workspace, rule, notes):
        snapshot = {"action_json": {"kind": "librarian_structure"}}
        Run.objects.create(workspace=workspace, rule=rule, trigger="manual", rule_snapshot=snapshot)
        assert "the librarian is reading" in text(page(browser(owner)))

    def test_with_proposals_review_comes_next_until_somebody_decides(self, owner, propose, notes):
        (operation,) = propose(op("retag_note", notes["alpha"], tags=("one", "two")))
        client = browser(owner)
        assert "Now Review : proposals wait for you" in text(page(client))
        review([Decision(operation.pk, "apply")], actor=owner)
        told = text(page(client))
        assert "What comes next" not in told
        assert "1 accepted" in told

    def test_what_was_decided_long_ago_is_not_a_first_start(self, owner, decided):
        decided("accepted", decided_at=timezone.now() - timedelta(days=90))
        told = text(page(browser(owner)))
        assert "What comes next" not in told
        assert "All that were ever decided" in told
