"""A workspace's own prompts over HTTP."""

from copy import deepcopy

import pytest

from librarian.models import PromptPack
from librarian.prompt_pack import builtin_files

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(workspace):
    return f"/api/workspaces/{workspace.id}/prompt-pack"


@pytest.fixture
def files():
    files = deepcopy(builtin_files())
    files["propose.json"]["system_prompt"] = "Propose."
    return files


def test_every_member_reads_the_prompts(client_for, viewer, address):
    answer = client_for(viewer).get(address)
    assert (answer.status_code, answer.json()["version"]) == (200, "built-in 1")
    assert answer.json()["files"] == builtin_files()


def test_an_admin_puts_prompts_of_ones_own_and_takes_them_back(client_for, admin, address, files):
    client = client_for(admin)
    answer = client.put(address, {"files": files})
    assert (answer.status_code, answer.json()["version"]) == (200, "workspace 1")
    assert client.put(address, {"files": files}).json()["version"] == "workspace 1"
    files["propose.json"]["system_prompt"] = "Propose well."
    assert client.put(address, {"files": files}).json()["version"] == "workspace 2"
    assert client.delete(address).status_code == 204
    assert client.get(address).json()["version"] == "built-in 1"
    assert list(PromptPack.objects.order_by("number").values_list("number", "active")) == [(1, False), (2, False)]


def test_faults_are_told_with_their_paths_and_nothing_is_kept(client_for, admin, address, files):
    files["plan.json"]["temperature"] = "hot"
    answer = client_for(admin).put(address, {"files": files})
    assert (answer.status_code, answer.json()["code"]) == (422, "PROMPT_PACK_INVALID")
    assert [fault["path"] for fault in answer.json()["details"]["faults"]] == ["plan.json.temperature"]
    assert not PromptPack.objects.exists()


def test_a_body_of_another_shape_is_refused(client_for, admin, address):
    assert client_for(admin).put(address, {"file": {}}).status_code == 400
    assert client_for(admin).put(address, {"files": {"manifest.json": 3}}).status_code == 422


@pytest.mark.parametrize("method", ["put", "delete"])
def test_who_may_not_manage_rules_changes_no_prompts(client_for, editor, address, files, method):
    answer = getattr(client_for(editor), method)(address, {"files": files})
    assert (answer.status_code, answer.json()["code"]) == (403, "ROLE_FORBIDDEN")


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_an_outsider_finds_no_workspace(client_for, outsider, address, files, method):
    answer = getattr(client_for(outsider), method)(address, {"files": files} if method == "put" else None)
    assert (answer.status_code, answer.json()["code"]) == (404, "WORKSPACE_NOT_FOUND")
