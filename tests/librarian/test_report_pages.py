"""The report of a run, and each of its requests, as pages."""

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
    return Exchange.objects.create(run=run, index=0, attempt=attempt, **values)


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
    assert "What changed since" in page
    assert "<script>alert" not in page


def test_answers_of_different_stages_are_not_compared(client, run):
    add_exchange(run, stage="plan", response="One answer.")
    made = add_exchange(run, stage="propose", response="Another answer.")
    page = client.get(reverse("admin:review_exchange", args=[run.pk, made.pk])).content.decode()
    assert "What changed since" not in page


def test_a_run_without_a_report_says_so(client, run):
    assert "There is no report yet" in client.get(reverse("admin:review_report", args=[run.pk])).content.decode()


def test_the_number_of_queries_does_not_grow_with_the_requests(client, run, reported):
    def queries():
        with CaptureQueriesContext(connection) as seen:
            client.get(reverse("admin:review_report", args=[run.pk]))
        return len(seen)

    add_exchange(run)
    few = queries()
    for attempt in range(2, 30):
        add_exchange(run, attempt)
    assert queries() == few


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
