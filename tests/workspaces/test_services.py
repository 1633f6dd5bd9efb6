"""Workspaces, owners and events, without HTTP."""

import threading

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from kjxlkj.errors import Conflict, Forbidden, NotFound
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note
from kjxlkj.workspaces import events, services
from kjxlkj.workspaces.events import NewEvent
from kjxlkj.workspaces.models import Membership, Role, Workspace, WorkspaceEvent
from kjxlkj.workspaces.roles import Right, may, require, role_of, scoped


def in_threads(count, work):
    """Run `work(i)` in `count` threads that start at once; what they returned or raised, by i."""
    gate, outcomes = threading.Barrier(count), [None] * count

    def run(i):
        gate.wait()
        try:
            outcomes[i] = work(i)
        except Exception as error:  # noqa: BLE001  handed to the test
            outcomes[i] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[i]) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


# --- Roles ----------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("who", "rights"),
    [("owner", set(Right)), ("admin", set(Right) - {Right.OWN}), ("editor", {Right.READ, Right.WRITE}),
     ("viewer", {Right.READ}), ("outsider", set()), ("superuser", set(Right))],
)  # fmt: skip
def test_each_role_has_its_rights_and_no_others(request, workspace, who, rights):
    user = request.getfixturevalue(who)
    assert {right for right in Right if may(user, workspace, right)} == rights
    for right in Right:
        assert scoped(Workspace.objects.filter(pk=workspace.pk), user, right, path="pk").exists() == (right in rights)


@pytest.mark.django_db
def test_a_deactivated_member_has_no_rights(workspace, owner):
    owner.is_active = False
    owner.save()
    assert role_of(owner, workspace) is None
    assert not scoped(Workspace.objects.all(), owner, path="pk").exists()
    with pytest.raises(NotFound):
        require(owner, workspace, Right.READ)


@pytest.mark.django_db
def test_an_archived_workspace_is_read_only_even_for_its_owner(workspace, owner):
    workspace = services.archive_workspace(workspace, actor=owner)
    require(owner, workspace, Right.READ)
    require(owner, workspace, Right.OWN)
    for right in (Right.WRITE, Right.MANAGE):
        with pytest.raises(Forbidden, match="archived"):
            require(owner, workspace, right)


# --- One owner, held by the database ---------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM workspaces_membership WHERE role = 'owner'",
        "UPDATE workspaces_membership SET role = 'admin' WHERE role = 'owner'",
        "UPDATE workspaces_membership SET role = 'owner' WHERE role = 'editor'",
        "UPDATE workspaces_membership SET role = 'king'",
        "UPDATE workspaces_workspace SET owner_id = (SELECT id FROM workspaces_user WHERE name = 'Editor')",
        "INSERT INTO workspaces_workspace (id, slug, name, state, owner_id, time_zone, event_seq, created_at,"
        " updated_at) SELECT gen_random_uuid(), 'bare', 'b', 'active', owner_id, 'UTC', 0, now(), now()"
        " FROM workspaces_workspace",
    ],
)
def test_no_statement_leaves_a_workspace_without_its_one_owner(workspace, editor, statement):
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Membership.objects.get(workspace=workspace, role=Role.OWNER).user == workspace.owner
    assert Workspace.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_transfer_keeps_one_owner_whoever_transfers_at_once(workspace, owner, admin, editor):
    heirs = [admin, editor]
    in_threads(2, lambda i: services.transfer_ownership(workspace, to=heirs[i], actor=owner))
    workspace.refresh_from_db()
    assert Membership.objects.get(workspace=workspace, role=Role.OWNER).user == workspace.owner
    assert workspace.owner in heirs


@pytest.mark.django_db
def test_whoever_read_the_workspace_before_a_transfer_cannot_demote_its_new_owner(workspace, owner, admin):
    before = Workspace.objects.get(pk=workspace.pk)
    services.transfer_ownership(workspace, to=admin, actor=owner)
    with pytest.raises(Conflict, match="exactly one owner"):
        services.set_member(before, admin, Role.VIEWER, actor=owner)
    with pytest.raises(Conflict, match="cannot be removed"):
        services.remove_member(before, admin.id, actor=owner)


@pytest.mark.django_db(transaction=True)
def test_roles_and_ownership_changed_at_once_do_not_wait_for_each_other_in_a_circle(workspace, owner, admin):
    people = [owner, admin]

    def work(i):
        for turn in range(20):
            try:
                if i:
                    services.set_member(workspace, people[turn % 2], Role.ADMIN, actor=owner)
                else:
                    services.transfer_ownership(workspace, to=people[turn % 2], actor=owner)
            except Conflict as error:
                assert error.code == "OWNER_FIXED"
        return "done"

    assert in_threads(4, work) == ["done"] * 4


@pytest.mark.django_db
def test_two_workspaces_cannot_have_one_slug(workspace, owner):
    with pytest.raises(Conflict, match="taken"):
        services.create_workspace(slug="team", name="Other", owner=owner)


# --- Events ---------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["workspaces_workspaceevent", "notes_noteevent"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET request_id = 'forged'", "DELETE FROM {}"])
def test_logs_refuse_to_be_rewritten(workspace, owner, table, statement):
    create_note(workspace, NewNote(title="n"), cause=by(owner))
    with pytest.raises(DatabaseError, match="Cannot update or delete rows"), connection.cursor() as cursor:
        cursor.execute(statement.format(table))


@pytest.mark.django_db(transaction=True)
def test_an_event_needs_the_transaction_of_what_it_tells_of(workspace, owner):
    with pytest.raises(RuntimeError, match="transaction"):
        events.record(workspace.id, [NewEvent("note.created")], actor=owner)


@pytest.mark.django_db(transaction=True)
def test_events_are_numbered_without_gaps_in_the_order_of_commits(workspace, owner):
    """Eight writers, some of which roll back, beside a reader of the feed that must neither miss nor repeat."""
    start = workspace.events.count()
    done, seen = threading.Event(), []

    def write(i):
        for n in range(12):
            try:
                with transaction.atomic():
                    create_note(workspace, NewNote(title=f"{i}/{n}"), cause=by(owner))
                    if n % 3 == 2:
                        raise InterruptedError
            except InterruptedError:
                pass

    def read():
        after = start
        while True:
            last_look = done.is_set()
            found = list(WorkspaceEvent.objects.filter(workspace=workspace).after(after).values_list("seq", flat=True))
            seen.extend(found)
            after = seen[-1] if seen else start
            if last_look:
                break
        connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    outcomes = in_threads(8, write)
    done.set()
    reader.join()
    assert outcomes == [None] * 8
    assert seen == list(range(start + 1, start + 8 * 8 + 1))
    workspace.refresh_from_db()
    assert workspace.event_seq == start + 64


@pytest.mark.django_db
def test_a_listener_hears_events_inside_the_transaction(workspace, owner, monkeypatch):
    heard = []
    monkeypatch.setattr(events, "_listeners", [lambda rows: heard.append([row.type for row in rows])])
    with pytest.raises(InterruptedError), transaction.atomic():
        create_note(workspace, NewNote(title="n"), cause=by(owner))
        raise InterruptedError
    assert heard == [["note.created"]]
    assert not WorkspaceEvent.objects.filter(type="note.created").exists()
