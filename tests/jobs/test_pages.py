"""The page of workers and queues, over HTTP."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from automation.models import Run
from automation.services import cancel_run, create_rule, launch_rule
from kjxlkj.jobs import canaries, transitions
from kjxlkj.jobs.models import Canary
from kjxlkj.jobs.transitions import Progress
from tests.jobs.conftest import add_errand, run
from tests.jobs.test_recovery import claimed
from tests.jobs.testapp.models import Errand

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = "/admin/workers/"
HTMX = {"HX-Request": "true"}


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def html(response: Any) -> str:
    return unescape(response.content.decode())


def add_cluster(name: str, queue: str, workers: int, answered: float | None) -> None:
    now = timezone.now()
    Canary.objects.create(
        cluster=name,
        queue=queue,
        workers=workers,
        started_at=now - timedelta(hours=1),
        asked_at=now,
        answered_at=None if answered is None else now - timedelta(seconds=answered),
        well_at=None if answered is None else now - timedelta(seconds=answered),
    )


@pytest.mark.parametrize("role", ["owner", "admin", "viewer", "outsider"])
def test_it_is_for_superusers(request: Any, workspace: Any, role: str) -> None:
    client = browser(request.getfixturevalue(role))
    assert client.get(WORKERS).status_code == 403
    polled = client.get(WORKERS, headers=HTMX)
    assert (polled.status_code, "hx-get" in html(polled)) == (403, False)
    assert "You may not see workers" in html(polled)
    assert WORKERS not in html(client.get("/admin/"))
    assert Client().get(WORKERS).status_code == 302


def test_it_is_linked_from_everywhere_for_them(superuser: Any) -> None:
    client = browser(superuser)
    assert html(client.get("/admin/")).count(f'href="{WORKERS}"') == 2
    assert f'href="{WORKERS}"' in html(client.get("/admin/notes/note/"))


def test_it_changes_nothing(superuser: Any) -> None:
    assert browser(superuser).post(WORKERS).status_code == 405


def test_clusters_are_told_with_their_state(superuser: Any) -> None:
    add_cluster("alpha:11:ab:default", "default", 2, 1.5)
    add_cluster("beta:12:cd:default", "default", 2, 50)
    add_cluster("gamma:13:ef:long", "long", 1, 50)
    add_cluster("delta:14:aa:long", "long", 1, None)
    claimed(add_errand(), "gamma:13:ef:long/77")
    page = html(browser(superuser).get(WORKERS))
    for told in ("alpha", "11", ">well<", "silent for 50 s", "busy: each worker is at a job", "has not answered yet"):
        assert told in page
    assert "No workers answer" not in page


def test_a_queue_without_workers_is_told(superuser: Any) -> None:
    client = browser(superuser)
    for where in (WORKERS, "/admin/"):
        assert "No workers answer for: default." in html(client.get(where))


def test_jobs_at_work_and_those_to_come_back_are_told(superuser: Any) -> None:
    errand = claimed(add_errand(), "host:1:x:default/4711")
    transitions.renew(Errand, errand.pk, errand.lease_token, Progress(3, 8, "steps"))
    run(add_errand("retry", 100))
    run(add_errand("refuse"))
    page = html(browser(superuser).get(WORKERS))
    for told in (str(errand), "Steps: 3 of 8", "process 4711", "1 of 3", "rate_limited", "1 × NOT_POSSIBLE"):
        assert told in page


def test_jobs_and_failures_lead_to_their_pages(superuser: Any, workspace: Any) -> None:
    rule = create_rule(workspace, actor=workspace.owner, name="R", action_json={"kind": "export_markdown"})
    working, failed = (launch_rule(rule, actor=workspace.owner).runs[0] for _ in range(2))
    cancel_run(failed, actor=workspace.owner)
    transitions.claim(Run, working.pk, working.pk)
    client = browser(superuser)
    page = html(client.get(WORKERS))
    assert f'href="/admin/automation/run/{working.pk}/change/"' in page
    link = "/admin/automation/run/?status__exact=failed&error_code=CANCELLED"
    assert f'href="{link}"' in page
    assert str(failed.pk) in html(client.get(link))


def test_a_poll_is_answered_with_what_changes_alone(superuser: Any) -> None:
    client = browser(superuser)
    answer = html(client.get(WORKERS, headers=HTMX))
    assert "<html" not in answer
    assert 'hx-trigger="every 5s"' in answer
    assert '<table id="throughput" class="stacked" hx-swap-oob="true">' in answer
    assert 'hx-swap-oob="true"' not in html(client.get(WORKERS))


def test_the_queries_are_as_many_whatever_there_is(superuser: Any, connection_queries: Any) -> None:
    client = browser(superuser)
    few = connection_queries(lambda: client.get(WORKERS, headers=HTMX))
    for number in range(60):
        add_errand(queue=f"q{number}")
        claimed(add_errand(), f"h{number % 5}:1:x:default/{number}")
        run(add_errand("retry", 100))
        run(add_errand(("succeed", "refuse", "crash")[number % 3]))
        add_cluster(f"h{number}:1:x:default", "default", 2, 1)
    assert connection_queries(lambda: client.get(WORKERS, headers=HTMX)) == few
    assert few <= 30


def test_what_a_real_cluster_is_called_is_taken_apart(superuser: Any) -> None:
    canaries.ask("some-host:4242:abcdef:default", "default", 2)
    canaries.answer("some-host:4242:abcdef:default")
    page = html(browser(superuser).get(WORKERS))
    assert '<th scope="row" title="some-host:4242:abcdef:default">some-host</th>' in page
    assert '<td data-label="Supervisor’s process">4242</td>' in page
