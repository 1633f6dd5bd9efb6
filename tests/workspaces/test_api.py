"""Workspaces, members and tokens over HTTP."""

from uuid import uuid4

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from kjxlkj.workspaces.models import Membership, Workspace

pytestmark = pytest.mark.django_db


def faults(answer):
    return {fault["field"] for fault in answer.json()["details"]["errors"]}


# --- Workspaces -----------------------------------------------------------------------------------


def test_who_makes_a_workspace_owns_it(client_for, viewer):
    made = client_for(viewer).post("/api/workspaces", {"slug": "mine", "name": "Mine", "time_zone": "Europe/Berlin"})
    assert made.status_code == 201
    assert (made.json()["owner_id"], made.json()["state"]) == (str(viewer.id), "active")
    members = client_for(viewer).get(f"/api/workspaces/{made.json()['id']}/members").json()["results"]
    assert [(member["email"], member["role"]) for member in members] == [(viewer.email, "owner")]


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [({"slug": "Upper"}, 422, "slug"), ({"slug": "a b"}, 422, "slug"), ({"time_zone": "Mars"}, 422, "time_zone"),
     ({"slug": "team"}, 409, "slug")],
)  # fmt: skip
def test_a_bad_workspace_is_refused_by_name(client_for, viewer, workspace, given, status, field):
    answer = client_for(viewer).post("/api/workspaces", {"slug": "new", "name": "New", **given})
    assert (answer.status_code, answer.json()["details"]["field"]) == (status, field)


def test_a_workspace_with_fields_missing_or_unknown_is_refused_by_name(client_for, viewer):
    client = client_for(viewer)
    assert faults(client.post("/api/workspaces", {})) == {"slug", "name"}
    assert faults(client.post("/api/workspaces", {"slug": "a", "name": "b", "owner": "c"})) == {"owner"}
    assert faults(client.get("/api/workspaces?name=x")) == {"name"}


def test_everybody_sees_their_own_workspaces_only(client_for, viewer, outsider, superuser, workspace):
    def slugs(user):
        return [row["slug"] for row in client_for(user).get("/api/workspaces").json()["results"]]

    assert slugs(viewer) == ["team"]
    assert slugs(outsider) == ["elsewhere"]
    assert slugs(superuser) == ["elsewhere", "team"]


def test_lists_take_as_many_queries_for_many_rows_as_for_one(
    client_for, viewer, workspace, connection_queries, make_user
):
    client = client_for(viewer)
    urls = ["/api/workspaces", f"/api/workspaces/{workspace.id}/members", f"/api/events?workspace_id={workspace.id}"]
    few = [connection_queries(lambda url=url: client.get(url)) for url in urls]
    for i in range(8):
        client.post("/api/workspaces", {"slug": f"w{i}", "name": "W"})
        Membership.objects.create(workspace=workspace, user=make_user(f"m{i}"), role="viewer")
        client_for(workspace.owner).post("/api/notes", {"workspace_id": str(workspace.id), "title": "x"})
    assert [connection_queries(lambda url=url: client.get(url)) for url in urls] == few
    assert all(len(client.get(url).json()["results"]) > 8 for url in urls)


@pytest.mark.parametrize("path", ["", "/members"])
@pytest.mark.parametrize("which", ["real", "unknown", "malformed"])
def test_to_strangers_no_workspace_exists(client_for, outsider, workspace, path, which):
    workspace_id = {"real": workspace.id, "unknown": uuid4(), "malformed": "x"}[which]
    answer = client_for(outsider).get(f"/api/workspaces/{workspace_id}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "WORKSPACE_NOT_FOUND")


def test_the_owner_renames_archives_and_reopens(client_for, owner, workspace):
    client, url = client_for(owner), f"/api/workspaces/{workspace.id}"
    assert client.patch(url, {"name": "Crew", "slug": "crew"}).json()["slug"] == "crew"
    assert client.delete(url).status_code == 204
    assert client.get(url).json()["state"] == "archived"
    assert client.patch(url, {"state": "active"}).json()["state"] == "active"


@pytest.mark.parametrize("role", ["admin", "editor", "viewer"])
def test_nobody_but_the_owner_changes_the_workspace(client_for, request, workspace, role):
    client, url = client_for(request.getfixturevalue(role)), f"/api/workspaces/{workspace.id}"
    for answer in (client.patch(url, {"name": "x"}), client.delete(url)):
        assert (answer.status_code, answer.json()["code"]) == (403, "ROLE_FORBIDDEN")


def test_the_owner_hands_over_and_stays_as_admin(client_for, owner, editor, workspace):
    changed = client_for(owner).patch(f"/api/workspaces/{workspace.id}", {"owner_id": str(editor.id), "name": "Theirs"})
    assert (changed.json()["owner_id"], changed.json()["name"]) == (str(editor.id), "Theirs")
    roles = dict(Membership.objects.filter(workspace=workspace).values_list("user__name", "role"))
    assert (roles["Owner"], roles["Editor"]) == ("admin", "owner")


def test_a_half_good_change_does_nothing(client_for, owner, editor, workspace):
    answer = client_for(owner).patch(
        f"/api/workspaces/{workspace.id}", {"owner_id": str(editor.id), "slug": "Bad Slug"}
    )
    assert answer.status_code == 422
    assert Workspace.objects.get(pk=workspace.pk).owner == owner


# --- Members --------------------------------------------------------------------------------------


def test_owner_and_admin_add_change_and_remove_members(client_for, owner, admin, outsider, workspace):
    url = f"/api/workspaces/{workspace.id}/members/{outsider.id}"
    assert client_for(admin).put(url, {"role": "viewer"}).json()["role"] == "viewer"
    assert client_for(outsider).get(f"/api/workspaces/{workspace.id}").status_code == 200
    assert client_for(owner).put(url, {"role": "editor"}).json()["role"] == "editor"
    assert client_for(admin).delete(url).status_code == 204
    assert client_for(outsider).get(f"/api/workspaces/{workspace.id}").status_code == 404
    assert client_for(admin).delete(url).json()["code"] == "MEMBER_NOT_FOUND"


def test_a_member_whose_account_is_closed_can_be_removed(client_for, admin, viewer, workspace):
    viewer.is_active = False
    viewer.save()
    url = f"/api/workspaces/{workspace.id}/members/{viewer.id}"
    assert client_for(admin).put(url, {"role": "editor"}).json()["code"] == "USER_NOT_FOUND"
    assert client_for(admin).delete(url).status_code == 204
    assert not workspace.memberships.filter(user=viewer).exists()


def test_members_without_the_right_leave_members_alone(client_for, editor, viewer, workspace):
    client, url = client_for(editor), f"/api/workspaces/{workspace.id}/members/{viewer.id}"
    for answer in (client.put(url, {"role": "admin"}), client.delete(url)):
        assert (answer.status_code, answer.json()["code"]) == (403, "ROLE_FORBIDDEN")


def test_strangers_cannot_let_themselves_in(client_for, outsider, workspace):
    url = f"/api/workspaces/{workspace.id}/members/{outsider.id}"
    for answer in (client_for(outsider).put(url, {"role": "admin"}), client_for(outsider).delete(url)):
        assert (answer.status_code, answer.json()["code"]) == (404, "WORKSPACE_NOT_FOUND")


def test_ownership_is_not_a_role_to_be_given(client_for, admin, owner, viewer, workspace):
    client, url = client_for(admin), f"/api/workspaces/{workspace.id}/members"
    assert faults(client.put(f"{url}/{viewer.id}", {"role": "owner"})) == {"role"}
    for answer in (client.put(f"{url}/{owner.id}", {"role": "viewer"}), client.delete(f"{url}/{owner.id}")):
        assert (answer.status_code, answer.json()["code"]) == (409, "OWNER_FIXED")


@pytest.mark.parametrize("user_id", [uuid4(), "x"])
def test_a_person_who_is_unknown_is_not_found(client_for, owner, workspace, user_id):
    answer = client_for(owner).put(f"/api/workspaces/{workspace.id}/members/{user_id}", {"role": "viewer"})
    assert (answer.status_code, answer.json()["code"]) == (404, "USER_NOT_FOUND")


# --- Tokens ---------------------------------------------------------------------------------------


@pytest.fixture
def person(viewer):
    viewer.set_password("a very good password")
    viewer.save()
    return viewer


def log_in(email, password, **extra):
    return APIClient().post("/api/auth/login", {"email": email, "password": password}, **extra)


def test_a_login_gives_a_token_until_logout(person):
    given = log_in(" Viewer@Example.com ", "a very good password")
    assert given.status_code == 200
    assert given.json()["expiry"] is not None
    client = APIClient(headers={"Authorization": f"Token {given.json()['token']}"})
    assert client.get("/api/workspaces").status_code == 200
    assert client.post("/api/auth/logout").status_code == 204
    assert client.get("/api/workspaces").json()["code"] == "INVALID_CREDENTIALS"


def test_logout_ends_that_one_token_only(person):
    first, second = (log_in(person.email, "a very good password").json()["token"] for _ in range(2))
    APIClient(headers={"Authorization": f"Token {first}"}).post("/api/auth/logout")
    assert APIClient(headers={"Authorization": f"Token {second}"}).get("/api/workspaces").status_code == 200


def test_wrong_password_and_unknown_account_answer_alike(person):
    wrong, unknown = log_in(person.email, "wrong"), log_in("nobody@example.com", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["code"] == unknown.json()["code"] == "INVALID_CREDENTIALS"
    assert wrong.json()["message"] == unknown.json()["message"]


def test_a_login_with_fields_missing_is_refused_by_name(db):
    answer = APIClient().post("/api/auth/login", {"username": "x"})
    assert faults(answer) == {"username"}
    assert faults(APIClient().post("/api/auth/login", {})) == {"email", "password"}


def test_ten_wrong_passwords_lock_that_account_for_that_address(person, owner):
    cache.clear()
    for i in range(10):
        answer = log_in(person.email.upper() if i % 2 else person.email, "wrong")
    assert answer.status_code == 429
    locked = log_in(person.email, "a very good password")
    assert (locked.status_code, locked.json()["code"]) == (429, "RATE_LIMITED")
    assert locked.json()["request_id"] == locked["X-Request-ID"]
    assert int(locked["Retry-After"]) > 0
    assert log_in(person.email, "a very good password", REMOTE_ADDR="10.1.1.1").status_code == 200
    assert log_in(owner.email, "wrong").status_code == 401
