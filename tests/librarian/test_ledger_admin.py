"""What was sent where, as a page: for every member to read, for nobody to write."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from librarian.models import Disclosure, Exchange

pytestmark = pytest.mark.django_db

LIST = "/admin/librarian/disclosure/"


@pytest.fixture
def disclose(run, notes):
    def disclose(name="alpha", host="openrouter.ai", **fields):
        values = {"note_version": 1, "sha256": "5" * 64, "part": "text", "run_id": run.id, "exchange_id": uuid4()}
        note = notes[name]
        return Disclosure.objects.create(workspace=note.workspace, note=note, host=host, **(values | fields))

    return disclose


@pytest.fixture
def exchange(run):
    return Exchange.objects.create(
        run=run, stage="propose", index=7, provider_kind="openrouter", model="qwen", answered_model="qwen-3", prompt="?"
    )


def shown(client, query=""):
    """The ids of the rows that the list shows."""
    answer = client.get(f"{LIST}?{query}")
    assert answer.status_code == 200, answer.headers.get("Location")
    return {row.pk for row in answer.context["cl"].result_list}


def test_a_row_tells_note_version_hash_host_model_and_leads_to_its_request(
    login, viewer, run, disclose, exchange, notes
):
    row = disclose(exchange_id=exchange.id, note_version=3)
    for address in (LIST, f"{LIST}{row.pk}/change/"):
        page = login(viewer).get(address).content.decode()
        assert "<h1>What was sent where</h1>" in page
        for part in ("Alpha", "alpha.md", "version 3", "5" * 12, "openrouter.ai", "qwen-3", "request 7"):
            assert part in page
        assert reverse("admin:notes_note_version", args=[notes["alpha"].id, 3]) in page
        assert reverse("admin:review_exchange", args=[run.id, exchange.id]) in page
        assert reverse("admin:automation_run_change", args=[run.id]) in page


def test_the_ledger_outlives_the_runs_that_are_cleared_away(login, viewer, disclose):
    disclose(run_id=uuid4())
    assert "a run that is cleared away" in login(viewer).get(LIST).content.decode()


def test_filters_by_workspace_host_note_run_and_time(login, viewer, run, disclose, notes):
    old = disclose("beta", "127.0.0.1", run_id=uuid4(), sent_at=timezone.now() - timedelta(days=40))
    new = disclose()
    client = login(viewer)
    assert shown(client) == {old.pk, new.pk}
    assert shown(client, "host=127.0.0.1") == shown(client, f"note={notes['beta'].id}") == {old.pk}
    week = (timezone.now() - timedelta(days=7)).strftime("%Y-%m-%d+00:00:00%%2B00:00")
    assert shown(client, f"run={run.id}") == shown(client, f"sent_at__gte={week}") == {new.pk}
    assert shown(client, "workspace=team") == {old.pk, new.pk}
    assert shown(client, "workspace=elsewhere") == set()


def test_a_search_goes_by_a_part_of_the_path(login, viewer, disclose):
    found, _ = disclose("beta"), disclose("alpha")
    client = login(viewer)
    assert shown(client, "q=DOCS/be") == {found.pk}
    assert shown(client, "q=nothing+like+it") == set()


def test_members_see_their_workspaces_rows_alone(login, outsider, superuser, disclose):
    row = disclose()
    assert shown(login(outsider)) == set()
    assert shown(login(outsider), f"note={row.note_id}&run={row.run_id}") == set()
    assert "Alpha" not in login(outsider).get(f"{LIST}?note={row.note_id}").content.decode()
    assert "openrouter.ai" not in login(outsider).get(LIST).content.decode()
    assert login(outsider).get(f"{LIST}{row.pk}/change/").status_code == 302
    assert shown(login(superuser)) == {row.pk}


@pytest.mark.parametrize("query", ["note=x", "run=1", "sent_at__gte=never", "nonsense=1"])
def test_a_filter_that_cannot_be_leads_back_to_the_list(login, viewer, disclose, query):
    assert login(viewer).get(f"{LIST}?{query}").headers["Location"] == f"{LIST}?e=1"


@pytest.mark.parametrize("person", ["viewer", "owner", "superuser"])
def test_nobody_adds_changes_or_deletes_a_row(login, disclose, person, request):
    row, client = disclose(), login(request.getfixturevalue(person))
    page = client.get(f"{LIST}{row.pk}/change/").content.decode()
    assert 'name="_save"' not in page
    for address in ("add/", f"{row.pk}/change/", f"{row.pk}/delete/"):
        assert client.post(f"{LIST}{address}", {"host": "else", "post": "yes"}).status_code == 403
    client.post(LIST, {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"})
    assert list(Disclosure.objects.values_list("pk", "host")) == [(row.pk, "openrouter.ai")]


def test_the_number_of_queries_does_not_grow_with_the_rows(login, viewer, disclose, run):
    client = login(viewer)

    def queries(query=""):
        with CaptureQueriesContext(connection) as seen:
            assert client.get(f"{LIST}?{query}").status_code == 200
        return len(seen)

    disclose()
    few = queries(), queries("q=md"), queries("p=1&all=")
    for number in range(60):
        made = Exchange.objects.create(run=run, stage="propose", index=number, provider_kind="lmstudio", prompt="")
        disclose(("alpha", "beta", "gamma")[number % 3], f"host-{number % 5}", exchange_id=made.id)
    assert (queries(), queries("q=md"), queries("p=1&all=")) == few


def test_the_page_of_a_note_tells_to_how_many_hosts_it_was_sent(login, viewer, disclose, notes):
    client, address = login(viewer), reverse("admin:notes_note_change", args=[notes["alpha"].id])
    assert "Never sent to a model" in client.get(address).content.decode()
    disclose(), disclose(), disclose(host="127.0.0.1"), disclose("beta", "else")
    page = client.get(address).content.decode()
    assert "Sent to 2 hosts" in page
    assert f"{LIST}?note={notes['alpha'].id}" in page
