"""The first owner: the page that works once, the commands, and what is handed over."""

import io
import re
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from kjxlkj.errors import Forbidden, Invalid
from kjxlkj.workspaces import services
from kjxlkj.workspaces.models import Membership, Role, User

GOOD = {
    "email": "First@Example.org",
    "name": "First",
    "password": "a very good password",
    "again": "a very good password",
}


@pytest.fixture
def url(db):
    return f"/setup/{services.new_setup_token()}/"


def test_the_page_makes_the_first_owner_logs_in_and_locks_itself(url):
    demo = services.create_workspace(slug="demo", name="Demo", owner=services.system_user())
    client = Client()
    assert client.get(url).status_code == 200
    done = client.post(url, GOOD)
    assert done.status_code == 302
    user = User.objects.get(email="first@example.org")
    assert user.is_superuser
    assert user.password.startswith("argon2")
    assert client.session["_auth_user_id"] == str(user.pk)
    demo.refresh_from_db()
    assert demo.owner == user
    assert list(Membership.objects.filter(workspace=demo).values_list("user", "role")) == [(user.pk, Role.OWNER)]

    for answer in (client.get(url), Client().post(url, {**GOOD, "email": "second@example.org"})):
        assert answer.status_code == 404
        assert b"Log in" in answer.content
    assert services.new_setup_token() is None


@pytest.mark.parametrize("token", ["x", "ä", "a" * 500])
def test_an_unknown_link_says_what_to_do(db, token):
    answer = Client().get(f"/setup/{token}/")
    assert answer.status_code == 404
    assert b"create_owner" in answer.content


def test_a_newer_link_replaces_the_older(url):
    assert services.new_setup_token()
    assert Client().get(url).status_code == 404


@pytest.mark.parametrize(
    ("given", "field"),
    [({"email": "nobody"}, "email"), ({"email": ""}, "email"), ({"again": "other"}, "again"),
     ({"password": "x", "again": "x"}, "password"),
     ({"password": "password", "again": "password"}, "password"), ({"name": "x" * 151}, "name")],
)  # fmt: skip
def test_a_bad_field_is_told_beside_it(url, given, field):
    answer = Client().post(url, {**GOOD, **given})
    page = answer.content.decode()
    assert answer.status_code == 200
    tag = re.search(rf'<input[^>]*name="{field}"[^>]*>', page)[0]
    assert 'aria-invalid="true"' in tag
    described = re.search(r'aria-describedby="([^"]*)"', tag)[1].split()
    assert f"id_{field}_error" in described
    assert all(f'id="{name}"' in page for name in described)
    assert not User.objects.filter(is_superuser=True).exists()
    assert "a very good password" not in page


def test_every_field_has_a_label_and_the_page_needs_no_script_of_its_own(url):
    answer = Client().get(url)
    page = answer.content.decode()
    assert re.search(r"<html[^>]* lang=", page)
    for name in GOOD:
        assert f'<label for="id_{name}"' in page
    assert not re.search(r"<style|style=|<script(?![^>]* src=)|javascript:", page)
    assert "'unsafe" not in answer["Content-Security-Policy"]


@pytest.mark.django_db(transaction=True)
def test_of_two_visitors_at_once_one_becomes_the_owner():
    token = services.new_setup_token()
    gate, outcomes = threading.Barrier(2), []

    def visit(name):
        gate.wait()
        try:
            services.set_up_first_owner(token, email=f"{name}@example.org", password="a very good password")
            outcomes.append("in")
        except Forbidden as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=visit, args=[name]) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["SETUP_LOCKED", "in"]
    assert User.objects.filter(is_superuser=True).count() == 1


def test_it_stays_locked_when_nobody_is_superuser_any_more(db):
    token = services.new_setup_token()
    services.set_up_first_owner(token, email="one@example.org", password="a very good password")
    User.objects.update(is_superuser=False)
    assert services.new_setup_token() is None
    assert not services.setup_is_open(token)


# --- Commands -------------------------------------------------------------------------------------


def test_an_owner_and_a_token_are_made_from_a_script(db, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("a very good password\n"))
    call_command(
        "create_owner", "--email", "Boss@Example.org", "--password-stdin", "--name", "Boss", stdout=io.StringIO()
    )
    user = User.objects.get(email="boss@example.org")
    assert user.is_superuser
    assert user.check_password("a very good password")
    out = io.StringIO()
    call_command("create_token", "boss@example.org", stdout=out)
    token = out.getvalue().strip()
    assert re.fullmatch(r"\S{32,}", token)
    assert APIClient(headers={"Authorization": f"Token {token}"}).get("/api/workspaces").status_code == 200


@pytest.mark.parametrize(("typed", "said"), [("\n", "stdin was empty"), ("short\n", "password: ")])
def test_a_bad_password_is_refused_with_the_reason(db, monkeypatch, typed, said):
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    with pytest.raises(CommandError, match=said):
        call_command("create_owner", "--email", "boss@example.org", "--password-stdin")
    assert not User.objects.filter(is_superuser=True).exists()


@pytest.mark.parametrize(
    ("field", "given"), [("name", "n" * 151), ("name", "a\0b"), ("email", f"{'x' * 60}@{'y.' * 120}example.com")]
)
def test_an_owner_that_does_not_fit_is_refused_by_field(db, field, given):
    values = {"email": "one@example.org", "password": "a very good password", field: given}
    with pytest.raises(Invalid) as refused:
        services.create_owner(**values)
    assert refused.value.details["field"] == field


def test_no_token_for_who_is_not_there(db):
    with pytest.raises(CommandError, match=r"nobody@example\.org"):
        call_command("create_token", "nobody@example.org")


def test_too_many_wrong_passwords_in_the_admin_get_a_readable_page(db):
    client = Client()
    for _ in range(10):
        answer = client.post("/admin/login/", {"username": "x@example.org", "password": "wrong"})
    assert answer.status_code == 429
    assert b"Wait 15 minutes" in answer.content
    assert answer["Retry-After"] == "900"


def test_the_count_of_wrong_passwords_is_one_for_all_spellings_and_both_logins(db):
    form, api = Client(), APIClient()
    spellings = ["x@example.org", "X@example.org", " x@EXAMPLE.org ", "x@Example.Org", "x@example.oRG"]
    for spelling in spellings:
        answer = form.post("/admin/login/", {"username": spelling, "password": "wrong"})
        assert answer.status_code == 200
        answer = api.post("/api/auth/login", {"email": spelling, "password": "wrong"})
    assert answer.status_code == 429
    assert form.post("/admin/login/", {"username": "x@example.orG", "password": "wrong"}).status_code == 429
