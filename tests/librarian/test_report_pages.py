"""The report of a run, and each of its requests, as pages."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from librarian.models import Exchange, RunReport

pytestmark = pytest.mark.django_db

XSS = "<script>alert(1)</script>"


def add_exchange(run, attempt=1, **fields):
    values = {"provider_kind": "openrouter", "host": "openrouter.ai", "model": f"m{XSS}", "prompt": f"What? {XSS}"}
    values |= {"response": f"That. {XSS}", "stage": "propose", "answered_at": timezone.now(), **fields}
    return Exchange.objects.create(run=run, attempt=attempt, **({"index": 0} | values))


@pytest.fixture
def client(viewer):
    client = Client()
    client.force_login(viewer)
    return client


@pytest.fixture
def reported(run):
    return RunReport.objects.create(
        run=run,
        provider_kind="openrouter",
        answers={f"m{XSS}": 1},
        fallback="offline",
        parser_version="2",
        warnings=[f"odd {XSS}"],
        failures=[{"index": 0, "code": "LLM_UPSTREAM_ERROR", "detail": f"no {XSS}", "note_ids": ["a"]}],
    )


def test_a_report_tells_who_answered_what_failed_and_each_request(client, run, reported):
    made = add_exchange(run)
    page = client.get(reverse("admin:review_report", args=[run.pk])).content.decode()
    assert "The offline librarian answered in the place of openrouter." in page
    assert "LLM_UPSTREAM_ERROR" in page
    assert reverse("admin:review_exchange", args=[run.pk, made.pk]) in page
    assert "<script>alert" not in page


def test_a_report_tells_what_became_of_its_operations(client, client_for, viewer, run, reported, decided):
    for how, count in (("pending", 4), ("accepted", 3), ("rejected", 2), ("undone", 1)):
        decided(how, count)
    page = client.get(reverse("admin:review_report", args=[run.pk])).content.decode()
    assert "4 pending, 3 applied, 2 rejected, 1 undone" in page
    told = client_for(viewer).get(f"/api/automation/runs/{run.pk}/report").json()
    names = ("pending_count", "applied_count", "rejected_count", "reverted_count")
    assert [told[name] for name in names] == [4, 3, 2, 1]


def test_a_request_is_shown_whole_and_beside_the_answer_before(client, run):
    add_exchange(run, response="One answer.")
    made = add_exchange(run, stage="validate_repair", response="Another answer.")
    page = client.get(reverse("admin:review_exchange", args=[run.pk, made.pk])).content.decode()
    assert "What? &lt;script&gt;" in page
    assert "What changed from" in page
    assert "<script>alert" not in page


def test_a_repair_is_compared_line_by_line_with_the_answer_that_it_repairs(client, run):
    add_exchange(run, response="<a>\nThe first line.\nkept\n")
    made = add_exchange(run, stage="validate_repair", response="<a>\nThe second line.\nkept\n")
    page = client.get(reverse("admin:review_exchange", args=[run.pk, made.pk])).content.decode()
    assert "<del>The <b>first</b> line.\n</del><ins>The <b>second</b> line.\n</ins><span>kept\n</span>" in page


def test_any_two_tries_of_a_request_can_be_compared(client, run):
    first = add_exchange(run, response="One.\n", prompt="What?")
    add_exchange(run, attempt=2, response="Two.\n", prompt="What?")
    last = add_exchange(run, attempt=3, response="Three.\n", prompt="What then?")
    elsewhere = add_exchange(run, attempt=4, response="Other.\n", index=1)
    address = reverse("admin:review_exchange", args=[run.pk, last.pk])
    assert "<del><b>Two</b>.\n</del>" in client.get(address).content.decode()
    page = client.get(address, {"with": str(first.pk)}).content.decode()
    assert "<del><b>One</b>.\n</del><ins><b>Three</b>.\n</ins>" in page
    assert "What<b> then</b>?" in page or "What <b>then</b>?" in page
    backwards = client.get(reverse("admin:review_exchange", args=[run.pk, first.pk]), {"with": str(last.pk)})
    assert "What changed from propose, attempt 1, to propose, attempt 3" in backwards.content.decode()
    assert "<del><b>One</b>.\n</del><ins><b>Three</b>.\n</ins>" in backwards.content.decode()
    for other in (elsewhere.pk, last.pk):
        assert "What changed from" not in client.get(address, {"with": str(other)}).content.decode()
    assert "<del><b>Two</b>" in client.get(address, {"with": "nonsense"}).content.decode()


def test_tries_of_one_text_are_said_to_be_the_same(client, run):
    add_exchange(run)
    made = add_exchange(run, attempt=2)
    page = client.get(reverse("admin:review_exchange", args=[run.pk, made.pk])).content.decode()
    assert page.count(": the same</summary>") == 2


def test_each_request_is_listed_with_status_tokens_cost_and_time(client, run):
    add_exchange(run, http_status=200, prompt_tokens=1234, completion_tokens=56, cost=Decimal("0.0125"), latency_ms=789)
    add_exchange(run, attempt=2, failure="rate_limited", failure_detail="Slow down.", http_status=429, response="")
    add_exchange(run, attempt=3, answered_at=None, response="")
    page = client.get(reverse("admin:review_report", args=[run.pk])).content.decode()
    for part in ("HTTP 200", "1234 in, 56 out", "0.012500 USD", "789 ms", "rate_limited</strong>, HTTP 429", "Slow"):
        assert part in page
    assert "no answer known" in page


def test_all_requests_are_reached_by_pages(client, run, reported):
    Exchange.objects.bulk_create(
        Exchange(run=run, index=number, stage="propose", provider_kind="lmstudio", prompt="") for number in range(510)
    )
    address, seen = reverse("admin:review_report", args=[run.pk]), set()
    for number in range(1, 7):
        answer = client.get(address, {"page": number})
        seen |= {exchange.index for exchange in answer.context["page"]}
        assert f'aria-current="page" href="?page={number}#' in answer.content.decode()
    assert seen == set(range(510))
    assert "501–510 of 510" in answer.content.decode()


@pytest.mark.parametrize(("asked", "shown"), [("0", 2), ("99", 2), ("x", 1), ("\0", 1), ("", 1)])
def test_a_page_that_is_not_there_is_the_nearest_that_is(client, run, asked, shown):
    Exchange.objects.bulk_create(
        Exchange(run=run, index=number, stage="propose", provider_kind="lmstudio", prompt="") for number in range(101)
    )
    answer = client.get(reverse("admin:review_report", args=[run.pk]), {"page": asked})
    assert answer.context["page"].number == shown


def test_the_report_leads_to_what_the_run_sent(client, run):
    add_exchange(run)
    page = client.get(reverse("admin:review_report", args=[run.pk])).content.decode()
    assert f"/admin/librarian/disclosure/?run={run.pk}" in page


def test_answers_of_different_stages_are_not_compared(client, run):
    add_exchange(run, stage="plan", response="One answer.")
    made = add_exchange(run, stage="propose", response="Another answer.")
    page = client.get(reverse("admin:review_exchange", args=[run.pk, made.pk])).content.decode()
    assert "What changed from" not in page


def test_a_run_without_a_report_says_so(client, run):
    assert "There is no report yet" in client.get(reverse("admin:review_report", args=[run.pk])).content.decode()


def test_the_number_of_queries_does_not_grow_with_the_requests(client, run, reported):
    def queries():
        with CaptureQueriesContext(connection) as seen:
            client.get(reverse("admin:review_report", args=[run.pk]))
        return len(seen)

    add_exchange(run)
    few = queries()
    for attempt in range(2, 300):
        add_exchange(run, attempt)
    assert queries() == few


def test_the_number_of_queries_does_not_grow_with_the_tries(client, run, connection_queries):
    add_exchange(run)
    made = add_exchange(run, 300)
    address = reverse("admin:review_exchange", args=[run.pk, made.pk])
    few = connection_queries(lambda: client.get(address))
    for attempt in range(2, 30):
        add_exchange(run, attempt)
    assert connection_queries(lambda: client.get(address)) == few


def test_outsiders_find_no_report(outsider, run):
    made = add_exchange(run)
    client = Client()
    client.force_login(outsider)
    for address in (
        reverse("admin:review_report", args=[run.pk]),
        reverse("admin:review_exchange", args=[run.pk, made.pk]),
    ):
        assert client.get(address).status_code in {302, 403, 404}
        assert client.get(address).status_code != 200


@pytest.mark.parametrize(("kind", "offered"), [("librarian_structure", True), ("export_markdown", False)])
def test_the_page_of_a_run_offers_review_and_report_of_the_librarians_alone(client, run, kind, offered):
    run.rule_snapshot = {"action_json": {"kind": kind}}
    run.save(update_fields=["rule_snapshot"])
    page = client.get(reverse("admin:automation_run_change", args=[run.pk])).content.decode()
    assert ("Review its proposals" in page) == offered
    assert (reverse("admin:review_report", args=[run.pk]) in page) == offered
