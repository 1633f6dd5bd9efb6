"""A workspace's prompts in the admin: seen, taken away, put there, compared, taken back."""

import json
from copy import deepcopy

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from kjxlkj.workspaces.services import update_workspace
from librarian.models import PromptPack, RunReport
from librarian.prompt_pack import builtin_files, builtin_pack
from librarian.prompt_services import save_prompt_pack

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(workspace):
    return reverse("admin:librarian_prompts", args=[workspace.pk])


@pytest.fixture
def files():
    files = deepcopy(builtin_files())
    files["propose.json"]["system_prompt"] = "Propose <b>well</b>."
    return files


def body(files):
    return json.dumps({"files": files})


def text_of(answer):
    return answer.content.decode()


def test_every_member_sees_what_is_in_use_and_takes_it_away(login, viewer, address):
    client = login(viewer)
    page = text_of(client.get(address))
    assert "built-in 1" in page
    assert builtin_pack().sha256 in page
    assert "Check and use them" not in page
    answer = client.get(f"{address}download/")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="prompts-team-built-in-1.json"'
    assert answer.json() == {"files": builtin_files()}


@pytest.mark.parametrize("way", ["pasted", "uploaded"])
def test_an_admin_puts_prompts_of_ones_own_and_sees_what_differs(login, admin, workspace, address, files, way):
    upload = SimpleUploadedFile("prompts.json", body(files).encode())
    form = {"text": body(files)} if way == "pasted" else {"text": "", "file": upload}
    client = login(admin)
    page = text_of(client.post(address, form, follow=True))
    pack = PromptPack.objects.get(workspace=workspace)
    assert (pack.files, pack.active, pack.created_by) == (files, True, admin)
    assert pack.sha256 in page
    assert "<code>propose.json.system_prompt</code>" in page
    assert "plan.json.system_prompt" not in page
    assert "Propose &lt;b&gt;" in page
    taken = client.get(f"{address}download/").json()
    assert taken == {"files": files}
    assert [list(taken["files"]), list(taken["files"]["plan.json"])] == [list(files), list(files["plan.json"])]


def test_what_is_downloaded_is_what_the_api_takes(client_for, login, admin, workspace, address, files):
    save_prompt_pack(workspace, files, actor=admin)
    taken = login(admin).get(f"{address}download/").json()
    answer = client_for(admin).put(f"/api/workspaces/{workspace.id}/prompt-pack", taken)
    assert (answer.status_code, answer.json()["version"]) == (200, "workspace 1")


def test_an_admin_goes_back_to_the_built_in_ones_and_finds_the_former_again(login, admin, workspace, address, files):
    save_prompt_pack(workspace, files, actor=admin)
    client = login(admin)
    page = text_of(client.post(f"{address}built-in/", follow=True))
    assert not PromptPack.objects.filter(active=True).exists()
    assert "?version=workspace%201" in page
    former = text_of(client.get(f"{address}?version=workspace%201"))
    assert "These are not in use." in former
    assert "Propose &lt;b&gt;" in former


def faulty(files):
    files["plan.json"]["temperature"] = "hot"
    return body(files)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (faulty, "plan.json.temperature: expected a number from 0 to 2."),
        (lambda files: body(files)[:-1], "is not JSON in UTF-8"),
        (lambda files: json.dumps(files), "files: expected {"),
        (lambda files: '{"files": {"manifest.json": {"files": ["\\u0000"]}}}', "holds a NUL character"),
        (lambda files: '{"files": {"plan.json": 1e999}}', "too large a number"),
        (lambda files: "[" * 100_000, "nested too deeply"),
        (lambda files: '{"files": {}}', "manifest.json: is missing."),
        (lambda files: " ", "Nothing is given."),
    ],
)
@pytest.mark.parametrize("way", ["pasted", "uploaded"])
def test_what_is_wrong_is_told_with_its_path_and_what_was_typed_stays(login, admin, address, files, make, told, way):
    typed = make(files)
    upload = SimpleUploadedFile("prompts.json", typed.encode())
    answer = login(admin).post(address, {"text": typed} if way == "pasted" else {"file": upload})
    assert answer.status_code == 200
    (error, *_) = answer.context["form"].errors["text"]
    assert told in error
    assert answer.context["form"]["text"].value() == typed
    assert not PromptPack.objects.exists()


def test_a_file_larger_than_any_prompts_is_not_read(login, admin, address):
    answer = login(admin).post(address, {"file": SimpleUploadedFile("x", b" " * 2_000_001)})
    assert "Larger than 2,000,000 bytes" in text_of(answer)


@pytest.mark.parametrize("way", ["", "built-in/"])
def test_who_may_not_manage_rules_changes_no_prompts(login, editor, workspace, address, files, way):
    save_prompt_pack(workspace, files, actor=workspace.owner)
    assert login(editor).post(f"{address}{way}", {"text": body(builtin_files())}).status_code == 403
    assert PromptPack.objects.get().active


def test_in_an_archived_workspace_they_are_read_and_not_changed(login, owner, workspace, address, files):
    update_workspace(workspace, actor=owner, state="archived")
    client = login(owner)
    assert "Check and use them" not in text_of(client.get(address))
    assert client.post(address, {"text": body(files)}).status_code == 403


@pytest.mark.parametrize(("method", "way"), [("get", ""), ("post", ""), ("get", "download/"), ("post", "built-in/")])
def test_an_outsider_finds_no_prompts(login, outsider, address, method, way):
    assert getattr(login(outsider), method)(f"{address}{way}").status_code == 404


@pytest.mark.parametrize("version", ["workspace 7", "workspace x", "workspace 99999999999", "else"])
def test_a_version_that_was_never_there_is_not_found(login, viewer, address, version):
    assert login(viewer).get(address, {"version": version}).status_code == 404


def test_a_version_of_another_release_is_said_to_be_that(login, viewer, address):
    assert "“built-in 0” came with another release" in text_of(login(viewer).get(address, {"version": "built-in 0"}))


def test_workspace_rule_and_report_lead_to_the_prompts(login, admin, workspace, rule, run, address):
    RunReport.objects.create(
        run=run, provider_kind="lmstudio", parser_version="2", prompt_pack_version="workspace 3", prompt_hash="5" * 64
    )
    client = login(admin)
    for page in (
        reverse("admin:workspaces_workspace_change", args=[workspace.pk]),
        reverse("admin:automation_rule_change", args=[rule.pk]),
    ):
        assert f'"{address}"' in text_of(client.get(page))
    page = text_of(client.get(reverse("admin:review_report", args=[run.pk])))
    assert f'"{address}?version=workspace%203"' in page


def test_the_number_of_queries_does_not_grow_with_the_packs(login, admin, workspace, address, files):
    client = login(admin)

    def queries():
        with CaptureQueriesContext(connection) as seen:
            client.get(address)
        return len(seen)

    save_prompt_pack(workspace, files, actor=admin)
    few = queries()
    for number in range(30):
        files["propose.json"]["system_prompt"] = f"Propose {number}."
        save_prompt_pack(workspace, files, actor=admin)
    assert queries() == few
