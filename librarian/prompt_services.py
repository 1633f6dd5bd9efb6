"""A workspace's own prompts: a new number for each change, none of which is ever changed itself."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max, QuerySet

from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.roles import Right, require
from librarian.models import PromptPack
from librarian.prompt_pack import read_pack


def save_prompt_pack(workspace: Workspace, files: Mapping[str, Any], *, actor: User) -> PromptPack:
    """Make `files` the prompts of the workspace. The same as are in use make no new number.

    Raises `Faulty` PROMPT_PACK_INVALID with everything that is wrong.
    """
    require(actor, workspace, Right.MANAGE)
    sha256 = read_pack(files, "new").sha256
    with transaction.atomic():
        packs = _locked(workspace)
        used = packs.filter(active=True).first()
        if used is not None and used.sha256 == sha256:
            return used
        packs.filter(active=True).update(active=False)
        number = (packs.aggregate(last=Max("number"))["last"] or 0) + 1
        return PromptPack.objects.create(
            workspace=workspace, number=number, files=files, sha256=sha256, created_by=actor
        )


def use_builtin_prompts(workspace: Workspace, *, actor: User) -> None:
    require(actor, workspace, Right.MANAGE)
    with transaction.atomic():
        _locked(workspace).filter(active=True).update(active=False)


def _locked(workspace: Workspace) -> QuerySet[PromptPack]:
    """Two people at once: one after the other."""
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
    return PromptPack.objects.filter(workspace=workspace)
