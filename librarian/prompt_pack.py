"""Prompt packs: what a model is told, as JSON that is checked and hashed. The built-in one, or a workspace's own."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.checks import Error

from kjxlkj.errors import Fault, Faulty
from librarian.models import PromptPack

MANIFEST = "manifest.json"
_FOLDER = Path(__file__).parent / "prompts"
_BINDING = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_CHARACTERS = 50_000

# Stage → what its prompt is made of: all of it has to be in the template, and nothing else can be.
BINDINGS: Mapping[str, frozenset[str]] = {
    "plan": frozenset({"request"}),
    "propose": frozenset({"request"}),
    "validate_repair": frozenset({"request_id", "errors", "response"}),
}
_TEXTS = ("system_prompt", "user_prompt_template", "output_contract")


@dataclass(frozen=True, slots=True)
class Stage:
    stage: str
    model_profile: str
    temperature: float
    max_tokens: int
    system_prompt: str
    user_prompt_template: str
    input_bindings: tuple[str, ...]
    output_contract: str

    def render(self, **bindings: str) -> str:
        """In one pass: a text with `{{…}}` in it stays as it is."""
        return _BINDING.sub(lambda match: bindings[match[1]], self.user_prompt_template)


@dataclass(frozen=True, slots=True)
class Pack:
    """`version` is “built-in 1” or “workspace 3”; `sha256` is over the files in the order of the manifest."""

    version: str
    sha256: str
    stages: Mapping[str, Stage]


def pack_for(workspace_id: UUID, version: str = "") -> Pack:
    """The workspace's own pack, or the built-in one; with a `version`, exactly that one if it is still there."""
    own = PromptPack.objects.filter(workspace_id=workspace_id)
    kind, _, number = version.partition(" ")
    if kind == "built-in":
        return builtin_pack()
    row = own.filter(number=int(number)).first() if kind == "workspace" else own.filter(active=True).first()
    return read_pack(row.files, f"workspace {row.number}") if row else builtin_pack()


@cache
def builtin_pack() -> Pack:
    files = builtin_files()
    return read_pack(files, f"built-in {files[MANIFEST]['version']}")


def builtin_files() -> dict[str, Any]:
    manifest = json.loads((_FOLDER / MANIFEST).read_text(encoding="utf-8"))
    named = {name: json.loads((_FOLDER / name).read_text(encoding="utf-8")) for name in manifest["files"]}
    return {MANIFEST: manifest, **named}


def check_prompts(app_configs: Any, **options: Any) -> list[Error]:
    """The system check of the built-in pack."""
    return [Error(f"{fault.path}: {fault.message}", id="librarian.E010") for fault in pack_faults(builtin_files())]


def read_pack(files: Mapping[str, Any], version: str) -> Pack:
    """Raises `Faulty` PROMPT_PACK_INVALID with everything that is wrong."""
    if faults := pack_faults(files):
        raise Faulty("PROMPT_PACK_INVALID", faults)
    named = [files[name] for name in files[MANIFEST]["files"]]
    digest = hashlib.sha256()
    for content in (files[MANIFEST], *named):
        digest.update(json.dumps(content, ensure_ascii=False, sort_keys=True).encode())
    stages = {each["stage"]: Stage(**{**each, "input_bindings": tuple(each["input_bindings"])}) for each in named}
    return Pack(version, digest.hexdigest(), stages)


def pack_faults(files: Any) -> list[Fault]:
    """Each with its JSON path: the file's name, then the key."""
    if not isinstance(files, dict) or not isinstance(files.get(MANIFEST), dict):
        return [Fault(MANIFEST, "is missing. It names the files of the pack.")]
    names = files[MANIFEST].get("files")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return [Fault(f"{MANIFEST}.files", "expected the list of the pack's file names.")]
    return (
        list(_manifest_faults(files, names))
        or [fault for name in names for fault in _stage_faults(name, files[name])]
        or list(_missing_stages(files, names))
    )


def _manifest_faults(files: Mapping[str, Any], names: list[str]) -> Iterator[Fault]:
    for name in files:
        if name != MANIFEST and name not in names:
            yield Fault(name, f"is not in the manifest. Name it in {MANIFEST}.files, or leave it out.")
    for name in names:
        if not isinstance(files.get(name), dict):
            yield Fault(name, "is named in the manifest, and there is no such file with a JSON object.")
    if len(set(names)) < len(names):
        yield Fault(f"{MANIFEST}.files", "names a file twice. Name each once.")


def _missing_stages(files: Mapping[str, Any], names: list[str]) -> Iterator[Fault]:
    found = [files[name]["stage"] for name in names]
    for stage in BINDINGS:
        if found.count(stage) != 1:
            yield Fault(f"{MANIFEST}.files", f"expected one file of the stage {stage}, found {found.count(stage)}.")


def _stage_faults(name: str, content: Mapping[str, Any]) -> Iterator[Fault]:
    known = set(Stage.__dataclass_fields__)
    for key in sorted(set(content) - known):
        yield Fault(f"{name}.{key}", f"unknown. Use: {', '.join(sorted(known))}.")
    for key in sorted(known - set(content)):
        yield Fault(f"{name}.{key}", "is missing. Give it.")
    if set(content) != known:
        return
    if content["stage"] not in BINDINGS:
        yield Fault(f"{name}.stage", f"expected one of: {', '.join(BINDINGS)}.")
        return
    yield from _value_faults(name, content)
    yield from _binding_faults(name, content)


def _value_faults(name: str, content: Mapping[str, Any]) -> Iterator[Fault]:
    for key in (*_TEXTS, "model_profile"):
        value = content[key]
        if not isinstance(value, str) or not value.strip() or len(value) > _CHARACTERS or "\0" in value:
            yield Fault(f"{name}.{key}", f"expected a text of 1 to {_CHARACTERS:,} characters.")
    for key, least, most, kind in (("temperature", 0, 2, int | float), ("max_tokens", 64, 1_000_000, int)):
        value = content[key]
        if not isinstance(value, kind) or isinstance(value, bool) or not least <= value <= most:
            yield Fault(f"{name}.{key}", f"expected a number from {least} to {most:,}.")


def _binding_faults(name: str, content: Mapping[str, Any]) -> Iterator[Fault]:
    wanted, declared = BINDINGS[content["stage"]], content["input_bindings"]
    if not isinstance(declared, list) or not all(isinstance(each, str) for each in declared) or set(declared) != wanted:
        yield Fault(f"{name}.input_bindings", f"expected the list of {', '.join(sorted(wanted))}.")
    template = content["user_prompt_template"]
    used = set(_BINDING.findall(template)) if isinstance(template, str) else wanted
    for each in sorted(used - wanted):
        yield Fault(f"{name}.user_prompt_template", f"{{{{{each}}}}} is nothing that this stage has.")
    for each in sorted(wanted - used):
        yield Fault(f"{name}.user_prompt_template", f"{{{{{each}}}}} is missing. Put it where it is to stand.")
