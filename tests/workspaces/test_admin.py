"""Workspaces, members and people in the admin."""

import pytest
from django.test import Client
from django.urls import reverse

from kjxlkj.workspaces.models import Membership, Role, User, Workspace

MEMBERS, WORKSPACES, USERS = "/admin/workspaces/membership/", "/admin/workspaces/workspace/", "/admin/workspaces/user/"


def browser(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def html(response):
    return response.content.decode()


def member(user, workspace):
    return Membership.objects.get(user=user, workspace=workspace)


class TestWorkspaces:
    def test_anybody_makes_one_and_owns_it(self, viewer):
        browser(viewer).post(WORKSPACES + "add/", {"name": "Mine", "slug": "mine", "time_zone": "UTC"})
        assert Workspace.objects.get(slug="mine").owner == viewer

    def test_a_taken_slug_stands_in_the_form(self, owner, workspace):
        page = html(browser(owner).post(WORKSPACES + "add/", {"name": "T", "slug": "team", "time_zone": "UTC"}))
        assert "already" in page or "taken" in page

    def test_a_bad_time_zone_stands_in_the_form(self, owner):
        page = html(browser(owner).post(WORKSPACES + "add/", {"name": "T", "slug": "t", "time_zone": "Moon"}))
        assert "Europe/Berlin" in page

    @pytest.mark.parametrize("role", ["admin", "editor", "viewer"])
    def test_only_its_owner_changes_it(self, role, workspace, request):
        where = reverse("admin:workspaces_workspace_change", args=[workspace.pk])
        data = {"name": "X", "slug": "team", "time_zone": "UTC", "state": "active", "owner": str(workspace.owner_id)}
        assert browser(request.getfixturevalue(role)).post(where, data).status_code == 403
        assert browser(workspace.owner).post(where, data).status_code == 302
        workspace.refresh_from_db()
        assert workspace.name == "X"

    def test_ownership_passes_on(self, owner, editor, workspace):
        where = reverse("admin:workspaces_workspace_change", args=[workspace.pk])
        data = {"name": "Team", "slug": "team", "time_zone": "UTC", "state": "active", "owner": str(editor.pk)}
        browser(owner).post(where, data)
        assert (member(editor, workspace).role, member(owner, workspace).role) == (Role.OWNER, Role.ADMIN)

    def test_outsiders_do_not_see_it(self, outsider, workspace):
        assert "Team" not in html(browser(outsider).get(WORKSPACES))


class TestMembers:
    def test_an_admin_adds_changes_and_removes(self, admin, outsider, workspace):
        client = browser(admin)
        data = {"workspace": str(workspace.pk), "email": outsider.email, "role": "viewer"}
        assert client.post(MEMBERS + "add/", data).status_code == 302
        made = member(outsider, workspace)
        client.post(reverse("admin:workspaces_membership_change", args=[made.pk]), {"role": "editor"})
        assert member(outsider, workspace).role == "editor"
        client.post(reverse("admin:workspaces_membership_delete", args=[made.pk]), {"post": "yes"})
        assert not Membership.objects.filter(user=outsider, workspace=workspace).exists()
        types = list(workspace.events.values_list("type", flat=True))[-3:]
        assert types == ["member.added", "member.changed", "member.removed"]

    def test_an_unknown_address_is_told(self, admin, workspace):
        data = {"workspace": str(workspace.pk), "email": "no@example.com", "role": "viewer"}
        assert "Nobody here has this address" in html(browser(admin).post(MEMBERS + "add/", data))

    @pytest.mark.parametrize("role", ["editor", "viewer", "outsider"])
    def test_others_may_not(self, role, admin, workspace, request):
        user = request.getfixturevalue(role)
        data = {"workspace": str(workspace.pk), "email": admin.email, "role": "viewer"}
        browser(user).post(MEMBERS + "add/", data)
        where = reverse("admin:workspaces_membership_change", args=[member(admin, workspace).pk])
        browser(user).post(where, {"role": "viewer"})
        assert member(admin, workspace).role == "admin"

    def test_nobody_becomes_owner_or_unseats_one_here(self, admin, workspace):
        mine, owners = member(admin, workspace), member(workspace.owner, workspace)
        client = browser(admin)
        client.post(reverse("admin:workspaces_membership_change", args=[mine.pk]), {"role": "owner"})
        client.post(reverse("admin:workspaces_membership_change", args=[owners.pk]), {"role": "viewer"})
        client.post(reverse("admin:workspaces_membership_delete", args=[owners.pk]), {"post": "yes"})
        assert member(workspace.owner, workspace).role == "owner"
        assert member(admin, workspace).role == "admin"


class TestPeople:
    def test_a_superuser_makes_accounts_that_can_log_in(self, superuser):
        data = {"email": "New@Example.com", "name": "New", "usable_password": "true"}
        data |= {"password1": "correct horse battery", "password2": "correct horse battery"}
        response = browser(superuser).post(USERS + "add/", data)
        assert response.status_code == 302, html(response)
        made = User.objects.get(email="new@example.com")
        assert made.check_password("correct horse battery")
        assert made.is_staff

    @pytest.mark.parametrize("role", ["owner", "admin", "viewer"])
    def test_nobody_else_sees_them(self, role, request):
        client = browser(request.getfixturevalue(role))
        assert client.get(USERS).status_code == 403
        assert client.get(USERS + "add/").status_code == 403

    def test_accounts_are_closed_not_deleted(self, superuser, viewer):
        where = reverse("admin:workspaces_user_delete", args=[viewer.pk])
        assert browser(superuser).post(where, {"post": "yes"}).status_code == 403


def test_every_list_opens_for_every_role(owner, admin, editor, viewer, outsider, superuser):
    lists = ["", "notes/note/", "notes/attachment/", "automation/rule/", "automation/run/", "review/"]
    lists += ["workspaces/workspace/", "workspaces/membership/", "workspaces/workspaceevent/"]
    for user in (owner, admin, editor, viewer, outsider, superuser):
        client = browser(user)
        for each in lists:
            assert client.get(f"/admin/{each}").status_code == 200, (user, each)
