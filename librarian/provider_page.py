"""The button of a rule's form that tries its provider out."""

import json
from collections.abc import Mapping
from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from automation.schema import schema_faults
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.roles import Right, scoped
from librarian.plan import read_provider
from librarian.settings_schema import SCHEMA

PROVIDER_SCHEMA: Mapping[str, Any] = cast("Any", SCHEMA)["properties"]["provider"]


@require_POST
def probe_provider(request: HttpRequest) -> HttpResponse:
    """What is found out about the provider of the posted `action_json`, saved or not. No model is asked anything: it
    could take longer than a page may."""
    if not scoped(Workspace.objects.all(), cast(User, request.user), Right.MANAGE, path="pk").exists():
        raise PermissionDenied
    action = _action(request.POST.get("action_json", ""))
    if action is None:
        return render(request, "librarian/_findings.html", {"refusal": "There is no action of the librarian here."})
    given = action.get("provider") or {}
    if faults := schema_faults(given, PROVIDER_SCHEMA, "provider"):
        refusal = f"{faults[0].path}: {faults[0].message}"
        return render(request, "librarian/_findings.html", {"refusal": refusal})
    # It brings httpx, which no other page needs.
    from librarian.providers.probe import probe

    provider = read_provider(given)
    findings = probe(provider.kind, provider.base_url, provider.model)
    return render(request, "librarian/_findings.html", {"findings": findings})


def _action(text: str) -> dict[str, Any] | None:
    try:
        action = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return action if isinstance(action, dict) and action.get("kind") == "librarian_structure" else None
