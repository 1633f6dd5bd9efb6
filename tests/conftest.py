"""The cast: a workspace, somebody for each role in it, a stranger, and a superuser."""

import pytest
from django.db import connection
from django.db.models.signals import post_migrate
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken
from rest_framework.test import APIClient

from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note
from kjxlkj.workspaces.models import Role, User
from kjxlkj.workspaces.services import create_workspace, set_member
from tests.bucket import KEYS, BucketServer


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """A server of the tests' own waits for no disk: what is in it outlives the end of processes, and no test cuts the
    power. Databases, which are made and dropped here, wait for it most of all.

    Emptying the tables makes Django's own permissions anew each time, which takes longer than all the rest of it.
    Nothing here asks for them: roles do."""
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    if connection.settings_dict["ENGINE"] == "kjxlkj.embedded_postgres":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET fsync = off")
            cursor.execute("SELECT pg_reload_conf()")


PASSWORD = "correct horse battery staple"


def make_user(name, **fields):
    # A hash takes Argon2 a tenth of a second; who needs a password sets one.
    user = User(email=f"{name}@example.com", name=name.capitalize(), **fields)
    user.set_unusable_password()
    user.save()
    return user


@pytest.fixture(name="make_user")
def _make_user(db):
    return make_user


@pytest.fixture
def owner(db):
    return make_user("owner")


@pytest.fixture
def workspace(owner):
    return create_workspace(slug="team", name="Team", owner=owner)


def _member(workspace, role):
    user = make_user(role)
    set_member(workspace, user, role, actor=workspace.owner)
    return user


@pytest.fixture
def admin(workspace):
    return _member(workspace, Role.ADMIN)


@pytest.fixture
def editor(workspace):
    return _member(workspace, Role.EDITOR)


@pytest.fixture
def viewer(workspace):
    return _member(workspace, Role.VIEWER)


@pytest.fixture
def outsider(db):
    """Owner of a workspace of their own, and stranger to `workspace`."""
    user = make_user("outsider")
    create_workspace(slug="elsewhere", name="Elsewhere", owner=user)
    return user


@pytest.fixture
def superuser(db):
    return make_user("root", is_superuser=True)


@pytest.fixture
def client_for(db):
    """API clients with a real token."""

    def client(user):
        api = APIClient()
        _, token = AuthToken.objects.create(user)
        api.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return api

    return client


@pytest.fixture
def make_note(workspace):
    """Notes of `workspace`, written by its owner unless told otherwise."""

    def make(title="A note", *, by_user=None, **fields):
        return create_note(workspace, NewNote(title=title, **fields), cause=by(by_user or workspace.owner))

    return make


@pytest.fixture
def connection_queries():
    """How many queries a call makes."""

    def count(call):
        with CaptureQueriesContext(connection) as queries:
            call()
        return len(queries)

    return count


@pytest.fixture
def bucket(settings, monkeypatch, tmp_path):
    """A real bucket of S3, and files in it instead of a folder."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "bucket").mkdir()
    with BucketServer(tmp_path / "bucket") as server:
        settings.STORAGES = {**settings.STORAGES, "default": server.storage}
        yield server
