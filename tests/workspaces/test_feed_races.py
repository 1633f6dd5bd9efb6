"""Readers of the feed among writers, with members that come and go: none missed, none repeated, order kept."""

import threading
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note
from kjxlkj.workspaces import services
from kjxlkj.workspaces.bell import bell
from kjxlkj.workspaces.models import Role, Workspace
from tests.jobs.conftest import wait_for
from tests.workspaces.test_events_api import all_of, ask, log_of, numbers
from tests.workspaces.test_services import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nobody_listens_afterwards():
    """The bell's connection would keep the test database from being removed."""
    yield
    wait_for(lambda: bell._thread is None)


@pytest.fixture
def workspaces(make_user, viewer, workspace):
    """Three of the viewer's."""
    others = [services.create_workspace(slug=f"w{i}", name="W", owner=make_user(f"o{i}")) for i in range(2)]
    for other in others:
        services.set_member(other, viewer, Role.VIEWER, actor=other.owner)
    return [workspace, *others]


def write_some(workspace, name, count):
    """Every third is taken back, and its number with it."""
    for n in range(count):
        try:
            with transaction.atomic():
                create_note(workspace, NewNote(title=f"{name}/{n}"), cause=by(workspace.owner))
                if n % 3 == 2:
                    raise InterruptedError
        except InterruptedError:
            pass


def come_and_go(workspace, user, times):
    for _ in range(times):
        services.remove_member(workspace, user.id, actor=workspace.owner)
        services.set_member(workspace, user, Role.VIEWER, actor=workspace.owner)


@contextmanager
def readers(*questions):
    """Each asks again and again in a thread of its own, until after the block; yields what each has seen."""
    done, seen = threading.Event(), [[] for _ in questions]
    faults = []

    def read(number, client, parameters):
        try:
            while True:
                last = done.is_set()
                # Several pages, so that the last one begins when everything is committed.
                events, page = all_of(client, **parameters)
                seen[number] += events
                parameters = {**parameters, "cursor": page["cursor"]}
                if last:
                    break
        except BaseException as error:  # noqa: BLE001  handed to the test
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=read, args=[i, *question]) for i, question in enumerate(questions)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert faults == []


def test_readers_among_writers_neither_miss_nor_repeat_nor_turn_the_order_around(client_for, viewer, workspaces):
    client = client_for(viewer)
    questions = [(client, {"limit": limit}) for limit in (1, 3, 50)]
    questions.append((client, {"limit": 2, "type": "note."}))
    with readers(*questions) as seen:
        outcomes = in_threads(6, lambda i: write_some(workspaces[i % 3], i, 12))
    assert outcomes == [None] * 6
    for events in seen[:3]:
        assert numbers(events) == log_of(*workspaces)
    notes = {str(each.id): list(range(each.event_seq - 15, each.event_seq + 1)) for each in Workspace.objects.all()}
    assert numbers(seen[3]) == notes


def test_a_member_that_comes_and_goes_has_in_the_end_seen_each_event_once(client_for, viewer, workspaces):
    client = client_for(viewer)

    def work(i):
        if i < 3:
            return write_some(workspaces[i], i, 12)
        return come_and_go(workspaces[1], viewer, 10)

    with readers((client, {"limit": 1}), (client, {"limit": 4})) as seen:
        assert in_threads(4, work) == [None] * 4
    for events in seen:
        assert numbers(events) == log_of(*workspaces)


def test_a_workspace_that_is_made_meanwhile_is_seen_from_its_beginning(client_for, viewer, workspaces):
    client = client_for(viewer)

    def work(i):
        if i < 3:
            return write_some(workspaces[i], i, 9)
        for n in range(8):
            made = services.create_workspace(slug=f"new{i}-{n}", name="New", owner=viewer)
            write_some(made, n, 2)
        return None

    with readers((client, {"limit": 1}), (client, {"limit": 5})) as seen:
        assert in_threads(5, work) == [None] * 5
    for events in seen:
        assert numbers(events) == log_of(*Workspace.objects.all())


def test_long_polling_readers_among_writers_see_each_event_once(client_for, viewer, workspaces):
    """Who waits looks between being told and waiting again: no event falls between."""
    expected, faults = {}, []
    total = 6 * 8 + sum(workspace.event_seq for workspace in Workspace.objects.all())

    def read(i):
        client, cursor, seen = client_for(viewer), {}, []
        while len(seen) < total:
            page = ask(client, wait=25, limit=1 + i, **cursor).json()
            if not page["results"]:
                faults.append("it waited for its whole time while there was something to come")
                break
            seen += page["results"]
            cursor = {"cursor": page["cursor"]}
        expected[i] = numbers(seen)

    def work(i):
        return read(i) if i < 3 else write_some(workspaces[i % 3], i, 12)

    assert in_threads(9, work) == [None] * 9
    assert faults == []
    for seen in expected.values():
        assert seen == log_of(*workspaces)
