"""What the form of a rule says of it before it is saved: what is wrong, when it is due, what it would do, and why (not)
for a note."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Case, Q, Value, When
from django.utils import timezone

from automation import schedules, services
from automation.forms import RuleForm
from automation.models import Rule
from automation.preview import Preview, looking, preview
from automation.triggers import SCHEDULE
from kjxlkj.errors import DomainError, Fault
from kjxlkj.notes.models import Note
from kjxlkj.workspaces.models import Workspace

_EXAMPLES = 8


def preview_context(rule: Rule | None, form: RuleForm | None, why: str) -> dict[str, Any]:
    """For the form as it is filled in, or for the rule as it is saved. `why` names the note that is asked about."""
    why = why.replace("\0", "").strip()
    workspace, values, faults = _given(rule, form)
    context: dict[str, Any] = {
        "faults": [{"path": fault.path, "message": fault.message} for fault in faults],
        "workspace": workspace,
        "why": why,
    }
    if workspace is None:
        return context
    context["times"] = _times(workspace, values)
    if "condition_json" not in values:
        return context
    return {**context, **_previewed(workspace, values, rule=rule, why=why)}


def launch_context(rule: Rule) -> dict[str, Any]:
    return _previewed(rule.workspace, _saved(rule), rule=rule)


def _given(rule: Rule | None, form: RuleForm | None) -> tuple[Workspace | None, Mapping[str, Any], Sequence[Fault]]:
    if form is None:
        return (rule.workspace, _saved(rule), ()) if rule else (None, {}, ())
    form.is_valid()
    values = {field: form.cleaned_data[field] for field in services.RULE_FIELDS if field in form.cleaned_data}
    # What is still to be filled in is not wrong yet.
    faults = [fault for fault in form.faults if form.data.get(fault.path, "x") != ""]
    return (rule.workspace if rule else form.cleaned_data.get("workspace")), values, faults


def _saved(rule: Rule) -> dict[str, Any]:
    return {field: getattr(rule, field) for field in services.RULE_FIELDS}


def _times(workspace: Workspace, values: Mapping[str, Any]) -> list[str]:
    """The next times of its schedule, as the clocks of the workspace show them."""
    line = values.get("schedule", "")
    if values.get("trigger") != SCHEDULE or schedules.faults(line):
        return []
    times = schedules.next_times(line, workspace.time_zone, timezone.now(), 3)
    return [f"{time.astimezone(ZoneInfo(workspace.time_zone)):%a %-d %B %Y, %H:%M}" for time in times]


def _note(workspace: Workspace, text: str) -> Note | None:
    """The note that somebody means: by id, path or title, or by a part of these."""
    notes = Note.objects.live().without_text().filter(workspace=workspace)
    with suppress(ValueError):
        if note := notes.filter(pk=UUID(text)).first():
            return note
    exact = Q(path=text) | Q(title__iexact=text)
    found = notes.filter(exact | Q(path__icontains=text) | Q(title__icontains=text))
    return found.order_by(Case(When(exact, then=Value(0)), default=Value(1)), "path", "id").first()


def _previewed(workspace: Workspace, values: Mapping[str, Any], *, rule: Rule | None, why: str = "") -> dict[str, Any]:
    note = None
    try:
        if why:
            with looking():
                note = _note(workspace, why)
        found: Preview = preview(workspace.pk, values, note_id=note.pk if note else None, rule=rule)
    except DomainError as error:
        return {"refusal": error.message}
    more = max(0, found.matching - _EXAMPLES)
    return {"note": note, "preview": found, "examples": found.notes[:_EXAMPLES], "more": more}
