"""django-q2's own pages in the admin work with our broker and our messages as with the stock ones."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success, Task
from django_q.signing import SignedPackage

from kjxlkj.jobs import canaries, recovery
from kjxlkj.jobs.broker import NotifyingBroker
from tests.jobs.conftest import add_errand
from tests.jobs.testapp.models import Errand

pytestmark = pytest.mark.django_db(transaction=True)

QUEUED, FAILED, DONE = "/admin/django_q/ormq/", "/admin/django_q/failure/", "/admin/django_q/success/"
SCHEDULES = "/admin/django_q/schedule/"


@pytest.fixture
def client(superuser: Any) -> Client:
    return browser(superuser)


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def html(response: Any) -> str:
    return unescape(response.content.decode())


def act(client: Client, where: str, action: str, *keys: Any, **more: Any) -> str:
    return html(client.post(where, {"action": action, "_selected_action": list(keys), **more}, follow=True))


def ended(*, success: bool, func: str = "kjxlkj.jobs.tasks.execute", **fields: Any) -> Task:
    now = timezone.now()
    times = {"started": now - timedelta(seconds=2), "stopped": now}
    return Task.objects.create(id="a" * 32, name="some task", func=func, success=success, **times, **fields)


def test_queued_messages_tell_their_name_function_and_arguments(client: Client) -> None:
    errand = add_errand()
    canaries.ask("c", "default", 2)
    listed = html(client.get(QUEUED))
    for told in (f"execute {errand.pk}", "kjxlkj.jobs.tasks.execute", "answer_canary c"):
        assert told in listed
    page = html(client.get(f"{QUEUED}{errand_message(errand)}/change/"))
    assert f"('testapp.errand', '{errand.pk}')" in page
    assert html(client.get(f"{QUEUED}?key=c")).count("kjxlkj.jobs.tasks.") == 1


def errand_message(errand: Errand) -> int:
    errand.refresh_from_db()
    assert errand.message_id is not None
    return errand.message_id


@pytest.mark.parametrize("many", [False, True])
def test_a_job_whose_message_is_deleted_is_woken_again(client: Client, many: bool) -> None:
    errand = add_errand()
    message = errand_message(errand)
    if many:
        assert "Successfully deleted 1" in act(client, QUEUED, "delete_selected", message, post="yes")
    else:
        client.post(f"{QUEUED}{message}/delete/", {"post": "yes"})
    assert not OrmQ.objects.exists()
    assert recovery.sweep().woken == 1
    again = OrmQ.objects.get()
    assert again.pk == errand_message(errand)
    assert again.task["args"] == ("testapp.errand", str(errand.pk))


def test_a_message_that_is_put_off_stays_readable(client: Client) -> None:
    errand = add_errand()
    message = errand_message(errand)
    form = {"key": "default", "lock_0": "2099-01-01", "lock_1": "00:00:00"}
    assert client.post(f"{QUEUED}{message}/change/", form).status_code == 302
    row = OrmQ.objects.get()
    assert (row.lock.year, row.task["args"][1]) == (2099, str(errand.pk))


def test_a_failed_task_is_resubmitted_through_our_broker(client: Client, monkeypatch: Any) -> None:
    monkeypatch.setenv("KJXLKJ_CLUSTER", "host:default")
    errand = add_errand()
    OrmQ.objects.all().delete()
    task = ended(success=False, args=("testapp.errand", str(errand.pk)), result="killed", cluster="default")
    assert "some task" in html(client.get(FAILED))
    assert "killed" in html(client.get(f"{FAILED}{task.pk}/change/"))
    act(client, FAILED, "resubmit_task", task.pk)
    assert not Failure.objects.exists()
    broker = NotifyingBroker("default")
    try:
        ((_, payload),) = broker.dequeue() or []
    finally:
        broker._disconnect()
    task = SignedPackage.loads(payload)
    assert (task["func"], task["args"]) == ("kjxlkj.jobs.tasks.execute", ("testapp.errand", str(errand.pk)))


def test_a_task_that_succeeded_is_listed_and_resubmitted(client: Client) -> None:
    task = ended(success=True, func="math.sqrt", args=(4,), result=2.0)
    assert "some task" in html(client.get(DONE))
    assert "2.0" in html(client.get(f"{DONE}{task.pk}/change/"))
    act(client, DONE, "resubmit_task", task.pk)
    assert (OrmQ.objects.get().task["func"], OrmQ.objects.get().key) == ("math.sqrt", "default")
    assert Success.objects.exists()


def test_a_schedule_is_made_changed_and_deleted(client: Client) -> None:
    form = {
        "name": "sweep",
        "func": "kjxlkj.jobs.recovery.sweep",
        "schedule_type": Schedule.MINUTES,
        "minutes": "1",
        "repeats": "-1",
        "next_run_0": "2030-01-01",
        "next_run_1": "00:00:00",
    }
    made = client.post(f"{SCHEDULES}add/", form)
    assert made.status_code == 302, html(made)
    schedule = Schedule.objects.get(name="sweep")
    assert "kjxlkj.jobs.recovery.sweep" in html(client.get(SCHEDULES))
    client.post(f"{SCHEDULES}{schedule.pk}/change/", {**form, "minutes": "5"})
    schedule.refresh_from_db()
    assert schedule.minutes == 5
    client.post(f"{SCHEDULES}{schedule.pk}/delete/", {"post": "yes"})
    assert not Schedule.objects.filter(name="sweep").exists()


def test_superusers_find_them_from_the_front_page_and_nobody_else_does(superuser: Any, owner: Any) -> None:
    pages = (QUEUED, FAILED, DONE, SCHEDULES)
    front = html(browser(superuser).get("/admin/"))
    assert all(f'href="{page}"' in front for page in pages)
    others = html(browser(owner).get("/admin/"))
    assert not any(page in others for page in pages)
    assert {browser(owner).get(page).status_code for page in pages} == {403}
