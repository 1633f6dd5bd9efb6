"""Who asked for exports, fetched and deleted them, how and from where; and who may know."""

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.test import Client, RequestFactory

from automation.models import Run
from automation.services import create_rule
from exports.audit import record
from exports.models import AuditAction, AuditEntry, ExportJob
from exports.services import cancel_export, queue_markdown_export, request_backup, request_markdown_export, retry_export
from kjxlkj.origin import address_of
from kjxlkj.workspaces.models import Workspace
from tests.exports.conftest import browser, execute, finished

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/exports/auditentry/"


def told(entry):
    return entry.action, entry.actor, entry.via, entry.address


# --- What is written ------------------------------------------------------------------------------


def test_an_order_and_a_download_over_the_api_are_kept_with_their_origin(client_for, admin, workspace, notes):
    api = client_for(admin)
    ordered = api.post(
        "/api/admin/export/markdown", {"workspace_id": workspace.id}, headers={"X-Request-ID": "order-1"}
    )
    job = execute(ExportJob.objects.get(pk=ordered.json()["id"]))
    whole = api.get(f"/api/admin/export/{job.pk}/artifact")
    b"".join(whole.streaming_content)
    part = api.get(f"/api/admin/export/{job.pk}/artifact", headers={"Range": "bytes=0-9"})
    assert part.status_code == 206
    requested, first, second = AuditEntry.objects.order_by("at", "id")
    assert told(requested) == ("requested", admin, "api", "127.0.0.1")
    assert (requested.request_id, requested.workspace, requested.job) == ("order-1", workspace, job)
    assert told(first) == told(second) == ("downloaded", admin, "api", "127.0.0.1")
    assert first.detail == {"kind": "markdown", "filename": job.filename, "sha256": job.sha256, "size": job.size}
    assert second.detail["range"] == f"bytes 0-9/{job.size}"


def test_who_gets_nothing_has_not_downloaded(client_for, admin, editor, workspace):
    job = finished(workspace=workspace)
    address = f"/api/admin/export/{job.pk}/artifact"
    client_for(editor).get(address)
    api = client_for(admin)
    api.head(address)
    api.get(address, headers={"If-None-Match": f'"{job.sha256}"'})
    api.get(address, headers={"Range": "bytes=9999-"})
    assert not AuditEntry.objects.exists()


def test_nobody_fetches_a_file_by_another_method_unseen(admin, workspace):
    job = finished(workspace=workspace)
    assert browser(admin).post(f"/admin/exports/exportjob/{job.pk}/download/").status_code == 405


def test_the_admin_is_told_from_the_api(superuser):
    client = browser(superuser)
    client.post("/admin/exports/exportjob/sql/")
    assert told(AuditEntry.objects.get()) == ("requested", superuser, "admin", "127.0.0.1")
    job = finished("sql")
    client.get(f"/admin/exports/exportjob/{job.pk}/download/")
    assert told(AuditEntry.objects.first()) == ("downloaded", superuser, "admin", "127.0.0.1")


def test_a_rule_and_a_second_try_are_told(workspace, owner, admin, notes):
    rule = create_rule(workspace, actor=owner, name="R", action_json={"kind": "export_markdown"})
    run = Run.objects.create(workspace=workspace, rule=rule, trigger="manual")
    failed = cancel_export(queue_markdown_export(workspace, created_by=owner, condition={}, run=run), actor=owner)
    assert told(AuditEntry.objects.get()) == ("requested", owner, "rule", None)
    retry_export(failed, actor=admin)
    assert told(AuditEntry.objects.first()) == ("requested", admin, "command", None)


def test_an_order_that_is_refused_leaves_no_entry(workspace, owner, monkeypatch):
    with pytest.raises(RuntimeError), transaction.atomic():
        request_markdown_export(workspace, actor=owner)
        raise RuntimeError
    assert not AuditEntry.objects.exists()


def test_what_commands_write_into_files_is_kept_too(workspace, owner, superuser, notes, tmp_path):
    archive, dump = tmp_path / "a.zip", tmp_path / "all.dump"
    call_command("export_markdown", "--workspace", "team", "--to", str(archive), "--as", owner.email)
    call_command("backup_sql", "--to", str(dump), "--as", superuser.email)
    first, second = AuditEntry.objects.order_by("at", "id")
    assert told(first) == ("downloaded", owner, "command", None)
    assert (first.workspace, first.job, first.detail) == (workspace, None, {"kind": "markdown", "file": str(archive)})
    assert (second.workspace, second.actor, second.detail) == (None, superuser, {"kind": "sql", "file": str(dump)})


def test_the_database_lets_nobody_change_it(workspace, owner):
    request_markdown_export(workspace, actor=owner)
    for change in (lambda: AuditEntry.objects.update(via="api"), lambda: AuditEntry.objects.all().delete()):
        with pytest.raises(DatabaseError, match="Cannot update or delete"):
            change()


# --- Where from -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxies", "forwarded", "peer", "address"),
    [
        (0, "203.0.113.9", "192.0.2.1", "192.0.2.1"),
        (1, "203.0.113.9", "192.0.2.1", "203.0.113.9"),
        (1, "10.0.0.1, 203.0.113.9", "192.0.2.1", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "192.0.2.1", "203.0.113.9"),
        (2, "203.0.113.9", "192.0.2.1", "192.0.2.1"),
        (1, "nonsense", "192.0.2.1", "192.0.2.1"),
        (1, "", "192.0.2.1", "192.0.2.1"),
        (0, "", "", None),
        (1, "2001:db8::1", "", "2001:db8::1"),
        (1, "::ffff:203.0.113.9", "", "203.0.113.9"),
    ],
)
def test_only_what_our_own_proxies_have_added_is_believed(settings, proxies, forwarded, peer, address):
    settings.PROXIES = proxies
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR=peer)
    assert address_of(request) == address


def test_wrong_passwords_are_counted_for_the_same_address(settings, owner):
    settings.PROXIES, settings.AXES_FAILURE_LIMIT = 1, 2

    def log_in(address):
        given = {"email": owner.email, "password": "wrong"}
        client = Client(headers={"X-Forwarded-For": f"6.6.6.6, {address}"})
        return client.post("/api/auth/login", given, "application/json").status_code

    assert [log_in("203.0.113.9"), log_in("203.0.113.9"), log_in("203.0.113.9")][-1] == 429
    assert log_in("203.0.113.10") == 401


# --- Who may read it ------------------------------------------------------------------------------


@pytest.fixture
def entries(workspace, outsider, owner, superuser):
    """One of the team's, one of another workspace's, one of the whole instance's."""
    theirs = Workspace.objects.get(slug="elsewhere")
    return [
        record(AuditAction.DELETED, job=finished(workspace=workspace), actor=owner, via="api", address="192.0.2.7"),
        record(AuditAction.DOWNLOADED, job=finished(workspace=theirs), actor=outsider),
        record(AuditAction.REQUESTED, job=request_backup(actor=superuser), actor=None, via="rule"),
    ]


@pytest.mark.parametrize(
    ("who", "seen"), [("superuser", 4), ("owner", 1), ("admin", 1), ("outsider", 1), ("viewer", 0)]
)
def test_each_sees_what_concerns_the_exports_of_their_workspaces(client_for, request, entries, who, seen):
    user = request.getfixturevalue(who)
    assert len(client_for(user).get("/api/admin/audit").json()["results"]) == seen
    page = browser(user).get(PAGE)
    assert page.status_code == (403 if who == "viewer" else 200)
    if seen:
        assert len(page.context_data["cl"].result_list) == seen


def test_the_wire_tells_all_of_it(client_for, owner, workspace, entries):
    (row,) = client_for(owner).get(f"/api/admin/audit?workspace_id={workspace.id}").json()["results"]
    job = entries[0].job
    assert row == {
        "id": str(entries[0].pk),
        "at": row["at"],
        "action": "deleted",
        "export_id": str(job.pk),
        "workspace_id": str(workspace.pk),
        "actor_id": str(owner.pk),
        "via": "api",
        "address": "192.0.2.7",
        "request_id": "",
        "detail": {"kind": "markdown", "filename": job.filename, "sha256": job.sha256, "size": job.size},
    }


def test_lists_are_narrowed(client_for, superuser, outsider, entries):
    api = client_for(superuser)

    def found(query):
        return {row["id"] for row in api.get(f"/api/admin/audit?{query}").json()["results"]}

    assert found("action=deleted") == {str(entries[0].pk)}
    assert found(f"actor_id={outsider.pk}") == {str(entries[1].pk)}
    assert found(f"export_id={entries[0].job_id}") == {str(entries[0].pk)}
    assert found("until=2020-01-01T00:00:00Z") == set()
    assert len(found("since=2020-01-01T00:00:00Z")) == 4
    client = browser(superuser)
    for query, count in (
        ("action__exact=deleted", 1), ("actor=itself", 1), (f"actor={outsider.email}", 1), ("workspace=team", 1),
        ("date=1", 4), ("date=2020-01-01", 0), (f"export={entries[0].job_id}", 1),
    ):  # fmt: skip
        assert len(client.get(f"{PAGE}?{query}").context_data["cl"].result_list) == count, query


@pytest.mark.parametrize("query", ["action=eaten", "since=yesterday", "actor_id=x", "colour=red"])
def test_a_bad_question_is_refused(client_for, owner, query):
    assert client_for(owner).get(f"/api/admin/audit?{query}").status_code == 400


def test_a_workspace_is_asked_for_by_those_who_may_export_from_it(client_for, editor, outsider, workspace, client):
    address = f"/api/admin/audit?workspace_id={workspace.id}"
    assert client_for(editor).get(address).status_code == 403
    assert client_for(outsider).get(address).status_code == 404
    assert client.get(address).status_code == 401


def test_nobody_writes_there(client_for, superuser, entries):
    assert client_for(superuser).post("/api/admin/audit", {}).status_code == 405
    client = browser(superuser)
    page = client.get(f"{PAGE}{entries[0].pk}/change/").content.decode()
    assert "192.0.2.7" in page
    assert 'name="_save"' not in page
    assert client.get(f"{PAGE}add/").status_code == 403
    assert client.post(f"{PAGE}{entries[0].pk}/delete/").status_code == 403


def test_one_entry_is_shown_to_whom_the_list_shows_it(owner, outsider, viewer, entries):
    address = f"{PAGE}{entries[0].pk}/change/"
    assert browser(owner).get(address).status_code == 200
    assert browser(outsider).get(address).status_code == 302
    assert browser(viewer).get(address).status_code in {302, 403}
    assert browser(owner).get(f"{PAGE}{entries[2].pk}/change/").status_code == 302


def test_lists_and_pages_take_as_many_queries_for_many_rows_as_for_one(
    client_for, superuser, owner, workspace, entries, connection_queries
):
    api, client = client_for(superuser), browser(superuser)
    job = entries[0].job
    addresses = [PAGE, "/admin/exports/exportjob/", f"/admin/exports/exportjob/{job.pk}/change/"]
    asks = [lambda: api.get("/api/admin/audit"), *(lambda a=address: client.get(a) for address in addresses)]
    for ask in asks:
        ask()
    few = [connection_queries(ask) for ask in asks]
    for number in range(9):
        more = finished(workspace=workspace, actor=owner) if number % 2 else finished("sql", actor=superuser)
        record(AuditAction.DOWNLOADED, job=more, actor=owner)
        record(AuditAction.DOWNLOADED, job=job, actor=superuser)
    assert [connection_queries(ask) for ask in asks] == few
