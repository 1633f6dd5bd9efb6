"""Waiting for events: who is woken, when, and what becomes of the database connections meanwhile."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note
from kjxlkj.workspaces import bell as module
from kjxlkj.workspaces import events_api, feed, services
from kjxlkj.workspaces.bell import Bell
from kjxlkj.workspaces.models import Role, Workspace
from tests.jobs.conftest import wait_for
from tests.workspaces.test_events_api import ask

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def bell(monkeypatch):
    """One of the test's own, with three places."""
    bell = Bell(places=3)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.3)
    monkeypatch.setattr(feed, "bell", bell)
    yield bell
    bell.stop()
    wait_for(lambda: bell._thread is None)


@pytest.fixture
def no_look(monkeypatch):
    """Only a notification can wake anybody."""
    monkeypatch.setattr(module, "_last_numbers", lambda own: {})


@contextmanager
def waiting(bell, client, count=1, **parameters):
    """So many readers at the present end of the feed, once they wait; yields the futures of their answers."""

    def read():
        began = time.monotonic()
        try:
            answer = ask(client, **{"after": "latest", "wait": 20, **parameters})
        finally:
            connection.close()
        return answer, time.monotonic() - began

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(read) for _ in range(count)]
        wait_for(lambda: sum(seat._workspace_ids is not None for seat in bell._seats) == count)
        wait_for(lambda: backends("query LIKE 'LISTEN%' OR query LIKE 'SELECT id, event_seq%'"))
        yield futures


def backends(condition="true"):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            f" AND backend_type = 'client backend' AND ({condition})"
        )
        return [pid for (pid,) in cursor.fetchall()]


def write(workspace, title="news"):
    return create_note(workspace, NewNote(title=title), cause=by(workspace.owner))


def test_who_waits_is_answered_when_something_happens(bell, client_for, viewer, workspace, no_look):
    with waiting(bell, client_for(viewer), 3) as answers:
        write(workspace)
        for answer in answers:
            response, seconds = answer.result()
            assert [event["payload"]["title"] for event in response.json()["results"]] == ["news"]
            assert seconds < 10
            assert "Retry-After" not in response
    assert not bell._seats


def test_who_waits_for_one_workspace_is_not_woken_by_another_nor_by_what_is_rolled_back(
    bell, client_for, viewer, workspace, no_look, monkeypatch
):
    looks = []
    monkeypatch.setattr(events_api, "read_page", lambda *given: looks.append(1) or feed.read_page(*given))
    other = services.create_workspace(slug="other", name="Other", owner=viewer)
    with waiting(bell, client_for(viewer), workspace_id=workspace.id) as (answer,):
        wait_for(lambda: len(looks) == 2)  # the second when the bell had begun to listen
        write(other, "elsewhere")
        with pytest.raises(InterruptedError), transaction.atomic():
            write(workspace, "taken back")
            raise InterruptedError
        write(workspace, "here")
        page = answer.result()[0].json()
    assert [event["payload"]["title"] for event in page["results"]] == ["here"]
    assert len(looks) == 3


def test_who_waits_for_some_types_sleeps_on_when_it_is_none_of_them(bell, client_for, viewer, workspace, no_look):
    with waiting(bell, client_for(viewer), type="note.") as (answer,):
        services.update_workspace(workspace, actor=workspace.owner, name="Renamed")
        write(workspace)
        page = answer.result()[0].json()
    assert [event["type"] for event in page["results"]] == ["note.created"]


def test_there_is_no_waiting_where_there_is_something_already(bell, client_for, viewer, workspace):
    page = ask(client_for(viewer), wait=20).json()
    assert [event["type"] for event in page["results"]] == ["workspace.created", "member.added"]


def test_when_the_time_is_over_the_answer_is_empty_with_the_same_cursor(bell, client_for, viewer, workspace):
    client = client_for(viewer)
    cursor = ask(client, after="latest").json()["cursor"]
    began = time.monotonic()
    answer = ask(client, cursor=cursor, wait=1)
    assert 0.9 < time.monotonic() - began < 5
    assert (answer.json()["results"], answer.json()["cursor"], answer.json()["next"]) == ([], cursor, None)
    assert "Retry-After" not in answer


def test_who_waits_holds_no_connection_and_all_are_listened_for_by_one(bell, client_for, viewer, workspace, no_look):
    client = client_for(viewer)
    with waiting(bell, client, 3) as answers:
        wait_for(lambda: len(backends()) == 1)
        write(workspace)
        assert all(answer.result()[0].json()["results"] for answer in answers)


def test_who_becomes_a_member_while_waiting_is_told_of_it(bell, client_for, outsider, workspace, no_look):
    with waiting(bell, client_for(outsider)) as (answer,):
        services.set_member(workspace, outsider, Role.VIEWER, actor=workspace.owner)
        events = answer.result()[0].json()["results"]
    assert [event["type"] for event in events] == ["workspace.created", "member.added"]


def test_who_is_removed_while_waiting_sees_nothing_more(bell, client_for, viewer, workspace, no_look):
    client = client_for(viewer)
    with waiting(bell, client, wait=3) as (everywhere,), waiting_here(bell, client, workspace) as here:
        services.remove_member(workspace, viewer.id, actor=workspace.owner)
        write(workspace)
        assert here.result()[0].status_code == 404
        assert everywhere.result()[0].json()["results"] == []


@contextmanager
def waiting_here(bell, client, workspace):
    """Beside another one."""
    with ThreadPoolExecutor(1) as pool:

        def read():
            try:
                return ask(client, workspace_id=workspace.id, after="latest", wait=20), 0.0
            finally:
                connection.close()

        future = pool.submit(read)
        wait_for(lambda: len([seat for seat in bell._seats if seat._workspace_ids is not None]) == 2)
        yield future


def test_whose_account_is_closed_while_waiting_sees_nothing_more(bell, client_for, superuser, workspace, no_look):
    with waiting(bell, client_for(superuser), wait=2) as (answer,):
        superuser.is_active = False
        superuser.save()
        write(workspace)
        assert answer.result()[0].json()["results"] == []


def test_when_all_places_are_taken_the_answer_comes_at_once_and_asks_for_a_pause(bell, client_for, viewer, workspace):
    client = client_for(viewer)
    with waiting(bell, client, 3) as answers:
        began = time.monotonic()
        answer = ask(client, after="latest", wait=20)
        assert time.monotonic() - began < 5
        assert (answer.status_code, answer.json()["results"], answer["Retry-After"]) == (200, [], "1")
        write(workspace)
        assert ask(client, cursor=answer.json()["cursor"], wait=20).json()["results"]
        assert all(answer.result()[0].json()["results"] for answer in answers)


def test_a_stop_ends_all_waiting_at_once_and_nobody_waits_afterwards(bell, client_for, viewer, workspace):
    client = client_for(viewer)
    with waiting(bell, client, 3) as answers:
        bell.stop()
        for answer in answers:
            response, seconds = answer.result()
            assert (response.status_code, response.json()["results"], response["Retry-After"]) == (200, [], "1")
            assert seconds < 10
    began = time.monotonic()
    assert ask(client, after="latest", wait=20)["Retry-After"] == "1"
    assert time.monotonic() - began < 5


def test_where_no_notification_comes_through_a_look_each_second_finds_it(
    bell, client_for, viewer, workspace, monkeypatch
):
    monkeypatch.setattr(module, "CHANNEL", "kjxlkj_nobody_tells_here")
    with waiting(bell, client_for(viewer)) as (answer,):
        write(workspace)
        response, seconds = answer.result()
        assert [event["payload"]["title"] for event in response.json()["results"]] == ["news"]
        assert seconds < 10


def test_a_connection_that_breaks_is_opened_again_and_what_happened_meanwhile_is_told(
    bell, client_for, viewer, workspace, no_look
):
    with waiting(bell, client_for(viewer)) as (answer,):
        with connection.cursor() as cursor:
            for pid in wait_for(backends):
                cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        write(workspace)
        response, seconds = answer.result()
        assert [event["payload"]["title"] for event in response.json()["results"]] == ["news"]
        assert seconds < 10


def test_nonsense_on_the_channel_wakes_and_breaks_nothing(bell, client_for, viewer, workspace, no_look):
    with waiting(bell, client_for(viewer)) as (answer,):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, 'nonsense')", [module.CHANNEL])
        write(workspace)
        assert answer.result()[0].json()["results"]
    assert bell._thread.is_alive()


def test_the_connection_is_given_back_when_nobody_has_waited_for_a_while(
    bell, client_for, viewer, workspace, monkeypatch
):
    monkeypatch.setattr(module, "_LINGER_SECONDS", 0.3)
    client = client_for(viewer)
    ask(client, after="latest", wait=1)
    wait_for(lambda: bell._thread is None and backends() == [])
    with waiting(bell, client) as (answer,):
        write(workspace)
        assert answer.result()[0].json()["results"]


def test_one_notification_is_sent_for_each_transaction_that_records_events(workspace, make_note):
    own = connection.copy()
    own.connect()
    with own.cursor() as cursor:
        cursor.execute(f"LISTEN {module.CHANNEL}")
    make_note("a")
    services.update_workspace(workspace, actor=workspace.owner, name="Renamed")
    heard = [notify.payload for notify in own.connection.notifies(timeout=10, stop_after=2)]
    own.close()
    assert heard == [str(workspace.id), module.EVERYBODY]
    assert Workspace.objects.get().event_seq == 3
