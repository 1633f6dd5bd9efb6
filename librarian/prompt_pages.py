"""A workspace's prompts in the admin: those in use or of an earlier number, beside the built-in ones; changing them.

Members read them, as over the API; changing them takes the right to manage rules.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kjxlkj.errors import BadRequest, DomainError, Forbidden
from kjxlkj.notes.forms import MarkdownField
from kjxlkj.parser import read_json
from kjxlkj.workspaces.models import User, Workspace, WorkspaceState
from kjxlkj.workspaces.roles import Right, may, require, scoped
from kjxlkj.workspaces.scoped_admin import actor
from librarian.diff import Hunk, hunks, word_diff
from librarian.matching import WORK
from librarian.models import PromptPack
from librarian.prompt_pack import MANIFEST, Stage, builtin_files, builtin_pack
from librarian.prompt_services import save_prompt_pack, use_builtin_prompts

# Nobody looks through more; reports lead to each.
_EARLIER = 20
# A pack has at most nine texts of 50,000 characters.
_FILE_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A pack as the page shows it. `number` None: the built-in one."""

    version: str
    sha256: str
    files: Mapping[str, Any]
    number: int | None
    in_use: bool

    def texts(self) -> list[tuple[str, list[tuple[str, str]]]]:
        return [(name, [(key, _text(value)) for key, value in file.items()]) for name, file in self.files.items()]

    def as_json(self) -> str:
        """What the API takes, so that one file goes to both."""
        return json.dumps({"files": self.files}, indent=2, ensure_ascii=False) + "\n"


class PackForm(forms.Form):
    """What is wrong with a file stands beside the text, which then is the file's: there it can be mended."""

    file = forms.FileField(required=False, help_text="As “Download” gives it. It goes before the text.")
    text = MarkdownField(help_text='JSON: {"files": {name: content, …}}, as the API takes it.')

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["text"].widget.attrs |= {"spellcheck": "false", "class": "source"}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        upload: UploadedFile | None = cleaned.get("file")
        if self.errors:
            return cleaned
        if upload and (upload.size or 0) > _FILE_BYTES:
            self.add_error("file", f"Larger than {_FILE_BYTES:,} bytes, which no prompts are. Take another file.")
            return cleaned
        raw = upload.read() if upload else str(cleaned["text"]).encode()
        self.data = QueryDict(mutable=True)
        self.data["text"] = raw.decode(errors="replace").replace("\0", "")
        return {**cleaned, "files": self._files(raw, "file" if upload else "text")}

    def _files(self, raw: bytes, what: str) -> dict[str, Any]:
        if not raw.strip():
            raise forms.ValidationError({"text": "Nothing is given. Choose a file, or paste its text."})
        try:
            given = read_json(raw, f"The {what}")
        except BadRequest as error:
            raise forms.ValidationError({"text": error.message}) from error
        if not isinstance(given, dict) or set(given) != {"files"} or not isinstance(given["files"], dict):
            wanted = 'expected {"files": {"manifest.json": {…}, …}} and nothing else.'
            raise forms.ValidationError({"text": f"files: {wanted}"})
        return given["files"]

    def refuse(self, error: DomainError) -> None:
        for fault in error.details.get("faults") or [{"path": "files", "message": error.message}]:
            self.add_error("text", f"{fault['path']}: {fault['message']}")


@require_http_methods(["GET", "POST"])
def prompts(request: HttpRequest, workspace_id: UUID) -> HttpResponse:
    """`version`, as reports name it, shows another pack than the one in use."""
    workspace = _workspace(request, workspace_id)
    version = request.GET.get("version", "")
    shown = _shown(workspace, version)
    form = PackForm(initial={"text": shown.as_json()})
    if request.method == "POST":
        _require_manage(request, workspace)
        form = PackForm(request.POST, request.FILES)
        if pack := _saved(form, workspace, actor(request)):
            messages.success(request, f"Runs that begin from now on use the prompts “workspace {pack.number}”.")
            return redirect("admin:librarian_prompts", workspace.pk)
    own = PromptPack.objects.filter(workspace=workspace).order_by("-number")
    context = {
        **admin.site.each_context(request),
        "title": f"Prompts of {workspace.name}",
        "workspace": workspace,
        "shown": shown,
        "missed": version if version and version != shown.version else "",
        "built_in": builtin_pack().version,
        "differences": list(_differences(builtin_files(), shown.files)) if shown.number else None,
        "earlier": own.values("number", "active", "created_at", "created_by__name")[:_EARLIER],
        "form": form,
        "may_change": workspace.state == WorkspaceState.ACTIVE and may(actor(request), workspace, Right.MANAGE),
    }
    return render(request, "librarian/prompts.html", context)


@require_GET
def download(request: HttpRequest, workspace_id: UUID) -> HttpResponse:
    workspace = _workspace(request, workspace_id)
    shown = _shown(workspace, request.GET.get("version", ""))
    name = f"prompts-{workspace.slug}-{shown.version.replace(' ', '-')}.json"
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(shown.as_json(), content_type="application/json", headers=disposition)


@require_POST
def use_builtin(request: HttpRequest, workspace_id: UUID) -> HttpResponse:
    workspace = _workspace(request, workspace_id)
    _require_manage(request, workspace)
    use_builtin_prompts(workspace, actor=actor(request))
    messages.success(request, "Runs that begin from now on use the built-in prompts.")
    return redirect("admin:librarian_prompts", workspace.pk)


# --- Steps ----------------------------------------------------------------------------------------


def _workspace(request: HttpRequest, workspace_id: UUID) -> Workspace:
    return get_object_or_404(scoped(Workspace.objects.all(), request.user, path="pk"), pk=workspace_id)


def _require_manage(request: HttpRequest, workspace: Workspace) -> None:
    try:
        require(actor(request), workspace, Right.MANAGE)
    except Forbidden as error:
        raise PermissionDenied(error.message) from error


def _saved(form: PackForm, workspace: Workspace, user: User) -> PromptPack | None:
    if not form.is_valid():
        return None
    try:
        return save_prompt_pack(workspace, form.cleaned_data["files"], actor=user)
    except DomainError as error:
        form.refuse(error)
        return None


def _shown(workspace: Workspace, version: str) -> Shown:
    """The pack in use, or the one of that `version`: of the built-in ones only this release's is there."""
    own = PromptPack.objects.filter(workspace=workspace)
    active = own.filter(active=True).first()
    kind, _, number = version.partition(" ")
    row = active
    if kind == "workspace" and number.isascii() and number.isdigit() and len(number) < 10:
        row = get_object_or_404(own, number=int(number))
    elif kind == "built-in":
        row = None
    elif version:
        raise Http404("There are no such prompts here.")
    if row is None:
        pack = builtin_pack()
        return Shown(pack.version, pack.sha256, builtin_files(), None, active is None)
    return Shown(f"workspace {row.number}", row.sha256, _in_order(row.files), row.number, row.active)


def _in_order(files: Mapping[str, Any]) -> dict[str, Any]:
    """As the built-in ones stand: the database keeps no order of names."""
    keys = list(Stage.__dataclass_fields__)
    named = {name: {key: files[name][key] for key in keys} for name in files[MANIFEST]["files"]}
    return {MANIFEST: files[MANIFEST], **named}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, list[Hunk]]]:
    """What differs, text by text: (path, hunks). Names that only one side has are told too."""
    before, after = dict(_values(old)), dict(_values(new))
    changed = [path for path in dict.fromkeys([*before, *after]) if before.get(path) != after.get(path)]
    for path in changed:
        work = WORK // len(changed)
        yield path, hunks(word_diff(before.get(path, ""), after.get(path, ""), work=work))


def _values(files: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, content in files.items():
        for key, value in content.items():
            yield f"{name}.{key}", _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
