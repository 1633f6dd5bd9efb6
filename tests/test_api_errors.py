"""Errors on the wire: one shape for all of them, whoever raised, with the request's id and nothing of our insides."""

import json
import logging
from uuid import UUID

import pytest
from django.test import Client
from rest_framework.test import APIClient

from kjxlkj import errors
from kjxlkj.envelope import status_of

pytestmark = pytest.mark.django_db


def check(answer, status, code):
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code)
    assert sorted(body) == ["code", "details", "message", "request_id"]
    assert body["message"]
    assert body["request_id"] == answer["X-Request-ID"]
    return body


@pytest.mark.parametrize(
    ("kind", "status"),
    [(errors.BadRequest, 400), (errors.Unauthenticated, 401), (errors.Forbidden, 403), (errors.NotFound, 404),
     (errors.Conflict, 409), (errors.TooLarge, 413), (errors.Invalid, 422), (errors.RateLimited, 429),
     (errors.Upstream, 502), (errors.DomainError, 422)],
)  # fmt: skip
def test_each_domain_error_has_its_status(kind, status):
    assert status_of(kind("CODE", "Words.")) == status


def test_who_is_nobody_is_told_how_to_be_somebody():
    answer = APIClient().get("/api/notes")
    check(answer, 401, "AUTH_REQUIRED")
    assert answer["WWW-Authenticate"].startswith("Token")


def test_an_unknown_token_is_told_so():
    check(APIClient().get("/api/notes", HTTP_AUTHORIZATION="Token nonsense"), 401, "INVALID_CREDENTIALS")


def test_a_person_who_was_deactivated_is_out(client_for, viewer):
    client = client_for(viewer)
    viewer.is_active = False
    viewer.save()
    check(client.get("/api/notes"), 401, "INVALID_CREDENTIALS")


@pytest.mark.parametrize("path", ["/api/nothing", "/api/nothing/", "/api/", "/api/notes/x/y/z", "/api/nöte"])
@pytest.mark.parametrize("debug", [False, True])
def test_an_unknown_address_is_not_found_in_json(path, debug, settings):
    settings.DEBUG = debug
    check(APIClient().get(path), 404, "NOT_FOUND")
    check(APIClient().post(path), 404, "NOT_FOUND")


def test_an_unknown_address_elsewhere_is_a_page():
    answer = Client().get("/nothing")
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_a_method_that_is_not_there(client_for, viewer):
    answer = client_for(viewer).put("/api/notes")
    check(answer, 405, "METHOD_NOT_ALLOWED")
    assert "GET" in answer["Allow"]


@pytest.mark.parametrize("path", ["notes", "workspaces", "search", "tags", "events", "attachments", "auth/logout"])
def test_what_may_be_asked_of_an_address_is_told_to_those_who_may_ask(client_for, viewer, path):
    assert client_for(viewer).options(f"/api/{path}").status_code == 200
    check(APIClient().options(f"/api/{path}"), 401, "AUTH_REQUIRED")


def test_what_may_be_asked_of_a_note_is_not_told_to_strangers(client_for, viewer, outsider, make_note):
    note = make_note("x")
    for path in ("", "/tags", "/history", "/rollback"):
        assert client_for(viewer).options(f"/api/notes/{note.id}{path}").status_code == 200
    check(client_for(outsider).options(f"/api/notes/{note.id}/tags"), 404, "NOTE_NOT_FOUND")


def test_a_body_that_is_not_json(client_for, editor):
    client = client_for(editor)
    check(client.post("/api/notes", "<x/>", content_type="text/xml"), 415, "UNSUPPORTED_MEDIA_TYPE")
    for text in (b"{", b'{"title": NaN}', b'{"title": 1e999}', b"\xff\xfe", b"[" * 100_000, b"{" + b'"a":{' * 5000):
        check(client.post("/api/notes", text, content_type="application/json"), 400, "BAD_REQUEST")


@pytest.mark.parametrize("text", ["[]", '"x"', "5", "null", "true"])
def test_a_body_that_is_no_object(client_for, editor, text):
    check(client_for(editor).post("/api/notes", text, content_type="application/json"), 400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("given", "field"),
    [({"a": {"b": ["x", "y\0"]}}, "a.b[1]"), ({"a": "\ud800"}, "a"), ({"a\0": 1}, "a name in body"), ("\0", "body")],
)
def test_what_no_database_can_hold_is_refused_by_its_path(client_for, editor, given, field):
    answer = client_for(editor).post("/api/notes", json.dumps(given), content_type="application/json")
    body = check(answer, 400, "BAD_REQUEST")
    assert body["details"]["errors"][0]["field"] == field


def test_a_body_nested_too_deeply_is_refused(client_for, editor):
    text = '{"title": ' + "[" * 65 + "]" * 65 + "}"
    body = check(client_for(editor).post("/api/notes", text, content_type="application/json"), 400, "BAD_REQUEST")
    assert "nested deeper than 64" in body["message"]


def test_every_faulty_field_is_named_in_words(client_for, editor):
    body = check(client_for(editor).post("/api/notes", {"workspace_id": "x", "tags": "y"}), 400, "BAD_REQUEST")
    named = {fault["field"] for fault in body["details"]["errors"]}
    assert named == {"workspace_id", "tags", "title"}
    assert all(name in body["message"] for name in named)


# --- Sessions -------------------------------------------------------------------------------------


def test_a_session_needs_the_csrf_token_to_write(workspace, editor):
    client = Client(enforce_csrf_checks=True)
    client.force_login(editor, backend="django.contrib.auth.backends.ModelBackend")
    given = {"workspace_id": str(workspace.id), "title": "x"}
    assert client.get("/api/notes").status_code == 200
    for path in ("/api/notes", "/api/notes/"):
        check(client.post(path, given, content_type="application/json"), 403, "CSRF_INVALID")
    client.cookies["csrftoken"] = "a" * 32
    made = client.post("/api/notes", given, content_type="application/json", headers={"X-CSRFToken": "a" * 32})
    assert made.status_code == 201


# --- Request ids ----------------------------------------------------------------------------------


def test_a_request_id_is_made_or_taken():
    assert UUID(APIClient().get("/api/healthz")["X-Request-ID"])
    given = APIClient().get("/api/notes", headers={"X-Request-ID": "trace/7:a=b"})
    assert given["X-Request-ID"] == given.json()["request_id"] == "trace/7:a=b"
    for bad in ("a b", "x" * 129, "ä"):
        assert UUID(APIClient().get("/api/healthz", headers={"X-Request-ID": bad})["X-Request-ID"])


def test_the_request_id_is_stored_with_what_the_request_did(client_for, editor, workspace):
    client = client_for(editor)
    made = client.post(
        "/api/notes", {"workspace_id": str(workspace.id), "title": "x"}, headers={"X-Request-ID": "trace-8"}
    ).json()
    last = client.get(f"/api/events?workspace_id={workspace.id}").json()["results"][-1]
    assert (last["type"], last["note_id"], last["request_id"]) == ("note.created", made["id"], "trace-8")
    assert client.get(f"/api/notes/{made['id']}/history").json()["results"][0]["request_id"] == "trace-8"


# --- Faults of ours -------------------------------------------------------------------------------


def test_a_fault_of_ours_is_logged_and_tells_nothing(client_for, editor, workspace, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise RuntimeError("secret of the house")

    # The one way to a fault on demand: break a service.
    monkeypatch.setattr("kjxlkj.notes.services.create_note", fail)
    client = client_for(editor)
    client.raise_request_exception = False
    with caplog.at_level(logging.ERROR, "django.request"):
        answer = client.post("/api/notes", {"workspace_id": str(workspace.id), "title": "x"})
    check(answer, 500, "INTERNAL_ERROR")
    assert b"secret" not in answer.content
    assert "secret of the house" in caplog.text


def test_a_host_that_is_not_ours_is_refused_in_json():
    check(APIClient().get("/api/healthz/", HTTP_HOST="evil.example"), 400, "BAD_REQUEST")


@pytest.mark.parametrize("path", ["/api/notes/", "/api/workspaces/", "/api/healthz/", "/api/schema", "/api/docs"])
def test_addresses_work_with_and_without_their_trailing_slash(client_for, viewer, path):
    assert client_for(viewer).get(path).status_code == 200
