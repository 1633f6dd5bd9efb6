"""Prompt packs: the one that is built in, and what is wrong with others."""

from copy import deepcopy

import pytest

from kjxlkj.errors import Faulty
from librarian.models import PromptPack
from librarian.prompt_pack import BINDINGS, builtin_files, builtin_pack, pack_faults, pack_for, read_pack


def test_the_built_in_pack_is_faultless_and_has_all_stages():
    pack = builtin_pack()
    assert pack_faults(builtin_files()) == []
    assert (set(pack.stages), pack.version, len(pack.sha256)) == (set(BINDINGS), "built-in 1", 64)


def test_another_text_is_another_hash():
    files = deepcopy(builtin_files())
    files["propose.json"]["system_prompt"] += "."
    assert read_pack(files, "w").sha256 != builtin_pack().sha256


def test_what_users_wrote_is_never_expanded():
    stage = builtin_pack().stages["validate_repair"]
    text = stage.render(request_id="r", errors="{{response}}", response="{{request_id}} {{x}}")
    assert "{{response}}" in text
    assert "{{request_id}} {{x}}" in text


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda files: files.pop("manifest.json"), "manifest.json"),
        (lambda files: files["manifest.json"].update(files="propose.json"), "manifest.json.files"),
        (lambda files: files.pop("plan.json"), "plan.json"),
        (lambda files: files.update({"more.json": {}}), "more.json"),
        (lambda files: files["manifest.json"]["files"].append("plan.json"), "manifest.json.files"),
        (lambda files: files["plan.json"].update(stage="propose"), "manifest.json.files"),
        (lambda files: files["plan.json"].update(stage="dream"), "plan.json.stage"),
        (lambda files: files["plan.json"].pop("temperature"), "plan.json.temperature"),
        (lambda files: files["plan.json"].update(temperature=3), "plan.json.temperature"),
        (lambda files: files["plan.json"].update(max_tokens=True), "plan.json.max_tokens"),
        (lambda files: files["plan.json"].update(system_prompt=" "), "plan.json.system_prompt"),
        (lambda files: files["plan.json"].update(api_key="x"), "plan.json.api_key"),
        (lambda files: files["plan.json"].update(input_bindings=["notes"]), "plan.json.input_bindings"),
        (lambda files: files["plan.json"].update(user_prompt_template="no"), "plan.json.user_prompt_template"),
        (
            lambda files: files["plan.json"].update(user_prompt_template="{{request}} {{secret}}"),
            "plan.json.user_prompt_template",
        ),
    ],
)
def test_each_fault_is_told_with_its_path(change, path):
    files = deepcopy(builtin_files())
    change(files)
    assert {fault.path for fault in pack_faults(files)} == {path}
    with pytest.raises(Faulty) as raised:
        read_pack(files, "w")
    assert raised.value.code == "PROMPT_PACK_INVALID"


@pytest.mark.django_db
def test_a_workspace_may_have_prompts_of_its_own_and_a_run_keeps_those_it_began_with(workspace):
    assert pack_for(workspace.id).version == "built-in 1"
    files = deepcopy(builtin_files())
    files["propose.json"]["system_prompt"] = "Propose."
    PromptPack.objects.create(workspace=workspace, number=1, files=files, sha256="0" * 64)
    assert pack_for(workspace.id).version == "workspace 1"
    assert pack_for(workspace.id).stages["propose"].system_prompt == "Propose."
    assert pack_for(workspace.id, "built-in 1") is builtin_pack()


def test_the_example_of_an_answer_stands_where_no_tag_is_neutralised():
    for stage in builtin_pack().stages.values():
        assert "<librarian_response>\n<request_id>" in stage.system_prompt
        assert "<" not in stage.output_contract
