"""The feed of events over HTTP: of one workspace, of all of a person's, narrowed, and who may read it."""

from dataclasses import replace
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.test import Client

from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note
from kjxlkj.workspaces import services
from kjxlkj.workspaces.cursor import MOST_WORKSPACES, encode_positions, name_of
from kjxlkj.workspaces.models import Membership, Role, Workspace, WorkspaceEvent

pytestmark = pytest.mark.django_db


def ask(client, **parameters):
    return client.get(f"/api/events?{urlencode(parameters)}")


def faults(answer):
    return {fault["field"] for fault in answer.json()["details"]["errors"]}


def all_of(client, **parameters):
    """Everything from there on, page by page; and the last page."""
    events = []
    while True:
        page = ask(client, **parameters).json()
        events += page["results"]
        if not page["results"]:
            return events, page
        assert len(events) < 2000, "it goes in a circle"
        parameters = {**parameters, "cursor": page["cursor"]}
        parameters.pop("after", None)


def numbers(events):
    """By workspace, in the order in which they came."""
    found = {}
    for event in events:
        found.setdefault(event["workspace_id"], []).append(event["seq"])
    return found


def log_of(*workspaces):
    rows = WorkspaceEvent.objects.filter(workspace__in=workspaces).order_by("workspace", "seq")
    found = {}
    for workspace_id, seq in rows.values_list("workspace_id", "seq"):
        found.setdefault(str(workspace_id), []).append(seq)
    return found


def write(workspace, title="A note"):
    return create_note(workspace, NewNote(title=title), cause=by(workspace.owner))


@pytest.fixture
def second(make_user, viewer):
    """Another workspace of the viewer's."""
    workspace = services.create_workspace(slug="second", name="Second", owner=make_user("other"))
    services.set_member(workspace, viewer, Role.VIEWER, actor=workspace.owner)
    return workspace


# --- Of one workspace -----------------------------------------------------------------------------


def test_the_feed_never_misses_and_never_repeats(client_for, viewer, workspace, make_note):
    for i in range(5):
        make_note(f"n{i}")
    client, after, seen = client_for(viewer), 0, []
    while True:
        page = client.get(f"/api/events?workspace_id={workspace.id}&after={after}&limit=2").json()
        seen += [event["seq"] for event in page["results"]]
        if not page["results"]:
            break
        after = page["last_seq"]
    assert seen == list(range(1, 8))
    assert (page["last_seq"], page["next"]) == (7, None)


def test_next_leads_through_the_feed(client_for, viewer, workspace, make_note):
    make_note("n")
    client = client_for(viewer)
    first = client.get(f"/api/events?workspace_id={workspace.id}&limit=2").json()
    second = client.get(first["next"]).json()
    types = [event["type"] for event in first["results"] + second["results"]]
    assert types == ["workspace.created", "member.added", "note.created"]
    assert second["next"] is None


def test_a_number_that_was_not_given_yet_is_refused(client_for, viewer, workspace):
    """As after a backup was restored: it would hide the events that will bear the numbers up to it."""
    answer = ask(client_for(viewer), workspace_id=workspace.id, after=100)
    assert (answer.status_code, answer.json()["details"]["errors"][0]["field"]) == (400, "after")


def test_a_cursor_can_be_narrowed_to_one_workspace_and_the_others_wait(client_for, viewer, workspace, second):
    client = client_for(viewer)
    some = ask(client, limit=1).json()
    one, page = all_of(client, workspace_id=second.id, cursor=some["cursor"])
    rest, _ = all_of(client, cursor=page["cursor"])
    assert numbers([*some["results"], *one, *rest]) == log_of(workspace, second)


# --- Of all workspaces of which one is a member ---------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_without_a_workspace_the_feed_is_of_all_that_are_ones_own(
    client_for, viewer, outsider, workspace, second, limit
):
    for i in range(3):
        write(workspace, f"a{i}")
        write(second, f"b{i}")
    events, page = all_of(client_for(viewer), limit=limit)
    assert numbers(events) == log_of(workspace, second)
    assert (page["last_seq"], page["next"]) == (None, None)


def test_next_leads_through_all_workspaces(client_for, viewer, workspace, second):
    client = client_for(viewer)
    page = ask(client, limit=2, after=0).json()
    events = page["results"]
    while page["next"]:
        page = client.get(page["next"]).json()
        events += page["results"]
    assert numbers(events) == log_of(workspace, second)


def test_events_of_several_workspaces_come_in_the_order_of_their_times(client_for, viewer, workspace, second):
    for i in range(4):
        write([workspace, second][i % 2], f"n{i}")
    events, _ = all_of(client_for(viewer), limit=3, type="note.")
    assert [event["payload"]["title"] for event in events] == ["n0", "n1", "n2", "n3"]


def test_a_clock_that_goes_back_does_not_turn_the_order_of_numbers_around(client_for, viewer, workspace, second):
    for i in range(3):
        write(workspace, f"n{i}")
        write(second, f"n{i}")
    last = WorkspaceEvent.objects.filter(workspace=workspace).order_by("-seq").first()
    WorkspaceEvent.objects.create(
        workspace=workspace, type="note.updated", seq=last.seq + 1, created_at=workspace.created_at
    )
    Workspace.objects.filter(pk=workspace.pk).update(event_seq=last.seq + 1)
    for limit in (1, 2, 50):
        events, _ = all_of(client_for(viewer), limit=limit)
        assert numbers(events) == log_of(workspace, second)


def test_who_begins_at_the_present_sees_what_comes_and_only_that(client_for, viewer, workspace, second):
    client = client_for(viewer)
    start = ask(client, after="latest").json()
    assert (start["results"], start["next"]) == ([], None)
    assert ask(client, cursor=start["cursor"]).json()["cursor"] == start["cursor"]
    write(workspace, "a")
    write(second, "b")
    events, _ = all_of(client, cursor=start["cursor"])
    assert sorted(event["payload"]["title"] for event in events) == ["a", "b"]
    assert ask(client, after="latest", workspace_id=workspace.id).json()["last_seq"] == 3


def test_a_workspace_that_one_comes_to_is_read_from_its_beginning(client_for, viewer, outsider, workspace):
    client = client_for(viewer)
    cursor = ask(client, after="latest").json()["cursor"]
    elsewhere = Workspace.objects.get(slug="elsewhere")
    services.set_member(elsewhere, viewer, Role.VIEWER, actor=outsider)
    own = services.create_workspace(slug="own", name="Own", owner=viewer)
    events, _ = all_of(client, cursor=cursor, limit=1)
    assert numbers(events) == log_of(elsewhere, own)


def test_who_leaves_sees_nothing_more_and_who_comes_back_goes_on_where_they_were(client_for, viewer, workspace, second):
    client = client_for(viewer)
    before, page = all_of(client, limit=2)
    services.remove_member(second, viewer.id, actor=second.owner)
    write(second, "unseen")
    write(workspace, "seen")
    meanwhile, page = all_of(client, cursor=page["cursor"])
    assert [event["payload"]["title"] for event in meanwhile] == ["seen"]
    services.set_member(second, viewer, Role.VIEWER, actor=second.owner)
    after, _ = all_of(client, cursor=page["cursor"])
    assert numbers([*before, *meanwhile, *after]) == log_of(workspace, second)


def test_an_archived_workspace_is_still_read(client_for, viewer, workspace):
    services.archive_workspace(workspace, actor=workspace.owner)
    for parameters in ({}, {"workspace_id": workspace.id}):
        events, _ = all_of(client_for(viewer), **parameters)
        assert events[-1]["payload"] == {"changed": {"state": "archived"}}


def test_superusers_read_all_workspaces_as_in_every_other_list(client_for, superuser, outsider, workspace):
    events, _ = all_of(client_for(superuser))
    assert numbers(events) == log_of(*Workspace.objects.all())


def test_who_belongs_to_no_workspace_has_an_empty_feed(client_for, make_user, workspace):
    page = ask(client_for(make_user("lonely"))).json()
    assert (page["results"], page["next"]) == ([], None)
    assert ask(client_for(make_user("lonelier")), after="latest").json()["cursor"] == page["cursor"]


def test_the_feed_of_many_workspaces_takes_as_many_queries_as_of_one(client_for, viewer, workspace, connection_queries):
    client = client_for(viewer)
    few = connection_queries(lambda: ask(client))
    for i in range(20):
        services.create_workspace(slug=f"w{i}", name="W", owner=viewer)
    assert connection_queries(lambda: ask(client)) == few
    cursor = all_of(client)[1]["cursor"]
    assert connection_queries(lambda: ask(client, cursor=cursor)) < few


# --- Narrowed -------------------------------------------------------------------------------------


def titles(events):
    return [event["payload"].get("title") for event in events]


def test_by_note_and_by_run(client_for, viewer, workspace, make_note):
    note, run_id = make_note("n"), uuid4()
    make_note("m")
    create_note(workspace, NewNote(title="by a run"), cause=replace(by(workspace.owner), run_id=run_id))
    client = client_for(viewer)
    assert titles(ask(client, note_id=note.id).json()["results"]) == ["n"]
    assert titles(ask(client, run_id=run_id).json()["results"]) == ["by a run"]
    assert ask(client, run_id=run_id, note_id=note.id).json()["results"] == []


@pytest.mark.parametrize(
    ("given", "found"),
    [("note.created", {"note.created"}), ("note.", {"note.created", "note.deleted"}), ("note", set()),
     ("member.,note.deleted", {"member.added", "note.deleted"}), ("note.created,note.created", {"note.created"}),
     ("run.", set()), ("no_", set())],
)  # fmt: skip
def test_by_types_and_what_they_begin_with(client_for, viewer, workspace, make_note, given, found):
    note = make_note("n")
    client_for(workspace.owner).delete(f"/api/notes/{note.id}?base_version=1")
    client = client_for(viewer)
    for parameters in ({}, {"workspace_id": workspace.id}):
        assert {event["type"] for event in ask(client, type=given, **parameters).json()["results"]} == found


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_what_is_passed_over_is_behind_the_cursor_and_nothing_that_matches_is(
    client_for, viewer, workspace, second, limit
):
    client = client_for(viewer)
    wanted = [write([workspace, second][i % 2], f"n{i}") for i in range(5)]
    events, page = all_of(client, type="note.", limit=limit)
    assert sorted(event["note_id"] for event in events) == sorted(str(note.id) for note in wanted)
    # What did not match will not come any more, whatever is asked for from here on.
    assert ask(client, cursor=page["cursor"]).json()["results"] == []
    rest, page = all_of(client, type="run.", workspace_id=workspace.id, after=1)
    assert (rest, page["last_seq"]) == ([], Workspace.objects.get(pk=workspace.pk).event_seq)


# --- Bad questions, and who may ask ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "field"),
    [("workspace_id={0}&after=-1", "after"), ("workspace_id={0}&after=9223372036854775808", "after"),
     ("workspace_id={0}&after=now", "after"), ("after=3", "after"), ("after=0&cursor=AQ", "after"),
     ("workspace_id={0}&afer=1", "afer"), ("workspace_id={0}&cursor=x", "cursor"), ("cursor=", "cursor"),
     ("cursor=AQ&cursor=AQ", "cursor"), ("cursor=AQ%00", "cursor"), ("workspace_id={0}&limit=999", "limit"),
     ("wait=26", "wait"), ("wait=-1", "wait"), ("wait=1.5", "wait"), ("type=", "type"), ("type=note*", "type"),
     ("type=note.,", "type"), ("type=%25", "type"), ("note_id=x", "note_id"), ("run_id=x", "run_id"),
     ("workspace_id=x", "workspace_id")],
)  # fmt: skip
def test_a_bad_question_to_the_feed_is_refused_by_name(client_for, viewer, workspace, query, field):
    answer = client_for(viewer).get("/api/events?" + query.format(workspace.id))
    assert (answer.status_code, faults(answer)) == (400, {field})
    assert answer.json()["message"].startswith(f"{field}: ")


def test_a_cursor_from_before_a_backup_was_restored_is_refused_not_left_to_miss_events(client_for, viewer, workspace):
    cursor = encode_positions({name_of(workspace.id): 1000})
    for parameters in ({}, {"workspace_id": workspace.id}):
        answer = ask(client_for(viewer), cursor=cursor, **parameters)
        assert (answer.status_code, faults(answer)) == (400, {"cursor"})
        assert "backup" in answer.json()["message"] and "after=0" in answer.json()["message"]


def test_a_cursor_tells_nothing_of_workspaces_that_are_not_ones_own(client_for, viewer, outsider, workspace):
    elsewhere = Workspace.objects.get(slug="elsewhere")
    for foreign in (elsewhere.id, uuid4()):
        page = ask(client_for(viewer), cursor=encode_positions({name_of(foreign): 1000})).json()
        assert set(numbers(page["results"])) == {str(workspace.id)}


def test_more_workspaces_than_a_cursor_holds_are_followed_one_by_one(client_for, superuser, workspace, owner):
    made = Workspace.objects.bulk_create(
        Workspace(slug=f"w{i}", name="W", owner=owner, event_seq=1) for i in range(MOST_WORKSPACES)
    )
    Membership.objects.bulk_create(Membership(workspace=each, user=owner, role=Role.OWNER) for each in made)
    answer = ask(client_for(superuser), after="latest")
    assert (answer.status_code, faults(answer)) == (400, {"workspace_id"})
    assert ask(client_for(superuser), after="latest", workspace_id=made[0].id).status_code == 200


def test_to_strangers_and_former_members_no_workspace_has_events(client_for, viewer, outsider, workspace):
    client = client_for(viewer)
    assert ask(client, workspace_id=workspace.id).status_code == 200
    services.remove_member(workspace, viewer.id, actor=workspace.owner)
    for answer in (
        ask(client, workspace_id=workspace.id),
        ask(client_for(outsider), workspace_id=workspace.id),
        ask(client_for(outsider), workspace_id=uuid4()),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "WORKSPACE_NOT_FOUND")
    assert str(workspace.id) not in numbers(ask(client).json()["results"])
    assert str(workspace.id) not in numbers(ask(client_for(outsider)).json()["results"])


def test_a_session_reads_the_feed_as_a_token_does_and_nobody_else(client_for, viewer, workspace):
    session = Client()
    assert ask(session).status_code == 401
    session.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    assert ask(session).json()["results"] == ask(client_for(viewer)).json()["results"] != []
