"""The only code that writes rules and starts runs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from automation import actions
from automation.models import Rule, Run, RunSource, RunTrigger
from automation.runs import new_run, source_limit
from automation.schedules import plan_next_tick
from automation.validation import check_rule
from kjxlkj.errors import Conflict, Invalid, NotFound, field_error
from kjxlkj.ids import new_id
from kjxlkj.jobs.models import JobStatus
from kjxlkj.jobs.services import cancel, enqueue_many
from kjxlkj.notes.bulk import copy_rows
from kjxlkj.notes.filters import condition_q
from kjxlkj.notes.models import Note, NoteQuerySet
from kjxlkj.workspaces.events import NewEvent, record
from kjxlkj.workspaces.models import User, Workspace, WorkspaceEvent
from kjxlkj.workspaces.roles import Right, require, require_superuser

RULE_FIELDS = (
    "name",
    "trigger",
    "schedule",
    "condition_json",
    "action_json",
    "enabled",
    "settle_seconds",
    "max_sources",
    "on_automation",
)


# --- Rules ----------------------------------------------------------------------------------------


@transaction.atomic
def create_rule(workspace: Workspace, *, actor: User, **values: Any) -> Rule:
    """Raises `RuleInvalid` with every fault, `Conflict` RULE_NAME_TAKEN."""
    require(actor, workspace, Right.MANAGE)
    return _save_rule(Rule(workspace=workspace, created_by=actor), values, actor=actor, event="rule.created")


@transaction.atomic
def update_rule(rule: Rule, *, actor: User, base_updated_at: datetime | None = None, **values: Any) -> Rule:
    """`base_updated_at`: the `updated_at` of the rule that the changes were made to; what others changed since is
    not overwritten.

    Raises `RuleInvalid`, `Conflict` RULE_CHANGED or RULE_NAME_TAKEN, `NotFound` RULE_NOT_FOUND.
    """
    require(actor, rule.workspace, Right.MANAGE)
    current = Rule.objects.select_for_update(no_key=True).live().filter(pk=rule.pk).first()
    if current is None:
        raise NotFound("RULE_NOT_FOUND", f"Rule “{rule.name}” has been deleted meanwhile.")
    if base_updated_at is not None and base_updated_at != current.updated_at:
        raise Conflict(
            "RULE_CHANGED",
            f"Rule “{current.name}” was changed meanwhile. Read it again, and make your changes to it as it is now.",
            {"updated_at": current.updated_at.isoformat()},
        )
    return _save_rule(current, values, actor=actor, event="rule.updated")


@transaction.atomic
def delete_rule(rule: Rule, *, actor: User) -> None:
    """Its queued runs go on: they were promised when their events happened."""
    require(actor, rule.workspace, Right.MANAGE)
    _require_for_action(rule, actor)
    if Rule.objects.live().filter(pk=rule.pk).update(deleted_at=timezone.now(), enabled=False):
        record(rule.workspace_id, [NewEvent("rule.deleted", payload=_named(rule))], actor=actor)


@transaction.atomic
def duplicate_rule(rule: Rule, *, actor: User) -> Rule:
    """A copy under another name, disabled until somebody has looked at it. Raises `Conflict` RULE_NAME_TAKEN."""
    values = {field: getattr(rule, field) for field in RULE_FIELDS}
    values |= {"name": _copy_name(rule), "enabled": False}
    return create_rule(rule.workspace, actor=actor, **values)


def _copy_name(rule: Rule) -> str:
    name = re.sub(r" \(copy( \d+)?\)$", "", rule.name)
    taken = set(Rule.objects.live().filter(workspace=rule.workspace_id).values_list("name", flat=True))
    endings = chain([" (copy)"], (f" (copy {number})" for number in count(2)))
    return next(copy for ending in endings if (copy := name[: 200 - len(ending)] + ending) not in taken)


def _save_rule(rule: Rule, values: dict[str, Any], *, actor: User, event: str) -> Rule:
    _require_for_action(rule, actor)
    planned_for = (rule.trigger, rule.schedule, rule.enabled)
    for field, value in values.items():
        if field not in RULE_FIELDS:
            raise TypeError(f"{field} is not a field of a rule")
        setattr(rule, field, value)
    _require_for_action(rule, actor)
    # What it says may be wrong by now: the operator allows less, an app is gone. It can be stopped all the same.
    stops = values.keys() == {"enabled"} and values["enabled"] is False
    check_rule(values if stops else {field: getattr(rule, field) for field in RULE_FIELDS})
    rule.name = rule.name.strip()
    # Another change does not move it: the rule may be due, and nobody have looked yet.
    if rule._state.adding or planned_for != (rule.trigger, rule.schedule, rule.enabled):
        plan_next_tick(rule, timezone.now())
    try:
        with transaction.atomic():
            rule.save()
    except IntegrityError as error:
        raise Conflict(
            "RULE_NAME_TAKEN",
            f"name: this workspace has a rule “{rule.name}” already. Choose another name.",
            {"field": "name"},
        ) from error
    record(rule.workspace_id, [NewEvent(event, payload=_named(rule))], actor=actor)
    return rule


def _require_for_action(rule: Rule, actor: User) -> None:
    if actions.for_superusers(rule.action_json):
        require_superuser(actor)


def _named(rule: Rule) -> dict[str, str]:
    return {"rule_id": str(rule.id), "name": rule.name}


# --- Launching ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launch:
    """The runs of one launch. `created` is false when the event had been counted for the rule before."""

    runs: list[Run]
    created: bool
    batch: UUID | None = None


@transaction.atomic
def launch_rule(
    rule: Rule, *, actor: User, event_id: UUID | None = None, note_ids: Sequence[UUID] | None = None
) -> Launch:
    """Start the rule now, for every note that matches, or for those named, or for one past event.

    Raises `Invalid` RULE_DISABLED or NOTHING_MATCHES, `NotFound` EVENT_NOT_FOUND.
    """
    require(actor, rule.workspace, Right.MANAGE)
    if event_id is not None and note_ids is not None:
        raise field_error("note_ids", "note_ids: an event names its note itself. Give event_id or note_ids, not both.")
    # The lock makes two launches for one event take turns, so that the second finds what the first made.
    rule = Rule.objects.select_for_update(no_key=True).get(pk=rule.pk)
    _require_for_action(rule, actor)
    _check_enabled(rule)
    if event_id is not None:
        return _launch_for_event(rule, event_id, actor)
    notes = matching_notes(rule)
    if note_ids is not None:
        notes = notes.filter(id__in=note_ids)
    launch = launch_for_notes(rule, notes, RunTrigger.MANUAL, actor=actor)
    if not launch.runs:
        raise Invalid("NOTHING_MATCHES", f"No note meets the condition of rule “{rule.name}”. Loosen it.")
    return launch


def matching_notes(rule: Rule) -> NoteQuerySet:
    """Live notes that meet the rule's condition. Raises `ConditionInvalid`."""
    return Note.objects.live().filter(condition_q(rule.condition_json), workspace_id=rule.workspace_id)


def _check_enabled(rule: Rule) -> None:
    if rule.deleted_at:
        raise Invalid("RULE_DISABLED", f"Rule “{rule.name}” is deleted. Make a new one.")
    if not rule.enabled:
        raise Invalid("RULE_DISABLED", f"Rule “{rule.name}” is disabled. Enable it first.")


def launch_for_notes(
    rule: Rule,
    notes: NoteQuerySet,
    trigger: RunTrigger,
    *,
    actor: User | None = None,
    tick_at: datetime | None = None,
) -> Launch:
    """As many runs as it takes for all of them; none if there is nothing to do. In the caller's transaction."""
    ids = list(notes.order_by("path", "id").values_list("id", flat=True))
    action = actions.find(rule.action_json.get("kind"))
    if not ids and action is not None and action.needs_sources:
        return Launch([], created=False)
    limit = source_limit(rule)
    batch = new_id()
    parts = [ids[start : start + limit] for start in range(0, len(ids), limit)] or [[]]
    runs = [new_run(rule, trigger, actor=actor, batch=batch, tick_at=tick_at) for _ in parts]
    for run, part in zip(runs, parts, strict=True):
        run.source_count = len(part)
    Run.objects.bulk_create(runs)
    if action is None or action.reads_sources:
        copy_rows(
            RunSource,
            ("rule_id", "run_id", "note_id"),
            ((rule.id, run.id, note_id) for run, part in zip(runs, parts, strict=True) for note_id in part),
        )
    enqueue_many(runs)
    return Launch(runs, created=True, batch=batch)


def _launch_for_event(rule: Rule, event_id: UUID, actor: User) -> Launch:
    event = WorkspaceEvent.objects.filter(pk=event_id, workspace_id=rule.workspace_id).first()
    if event is None or event.note_id is None:
        raise NotFound("EVENT_NOT_FOUND", "event_id: this workspace has no such event about a note.")
    run = new_run(rule, RunTrigger.MANUAL, actor=actor, event=event)
    run.source_count = 1
    source = RunSource(run=run, rule=rule, note_id=event.note_id, event=event)
    try:
        with transaction.atomic():
            run.save(force_insert=True)
            source.save(force_insert=True)
    except IntegrityError:
        counted = RunSource.objects.select_related("run").get(rule=rule, event=event)
        return Launch([counted.run], created=False, batch=counted.run.batch)
    enqueue_many([run])
    return Launch([run], created=True)


def cancel_run(run: Run, *, actor: User) -> Run:
    """Raises `Conflict` JOB_FINISHED."""
    require(actor, run.workspace, Right.MANAGE, archived=True)
    if actions.for_superusers(run.rule_snapshot.get("action_json")):
        require_superuser(actor)
    cancel(run, detail=f"cancelled by {actor}")
    run.refresh_from_db()
    return run


@transaction.atomic
def retry_run(run: Run, *, actor: User) -> Run:
    """A new run over the same sources with the rule as it is now; the one that there is, if it waits or works still.

    Raises `Conflict` RUN_NOT_FAILED, `Invalid` RULE_DISABLED.
    """
    require(actor, run.workspace, Right.MANAGE)
    run = Run.objects.select_for_update(no_key=True, of=["self"]).select_related("rule").get(pk=run.pk)
    if run.status != JobStatus.FAILED:
        raise Conflict("RUN_NOT_FAILED", f"The run is {run.status}; only a failed run can be tried again.")
    _require_for_action(run.rule, actor)
    _check_enabled(run.rule)
    again = Run.objects.unfinished().filter(rule=run.rule, result_json__retry_of=str(run.id)).first()
    if again is not None:
        return again
    # A person starts it: no chain of rules led to it any more.
    again = new_run(run.rule, RunTrigger.RETRY, actor=actor, event=run.triggering_event)
    again.result_json, again.source_count = {"retry_of": str(run.id)}, run.source_count
    again.save(force_insert=True)
    notes = list(dict.fromkeys(run.sources.values_list("note_id", flat=True)))
    copy_rows(RunSource, ("rule_id", "run_id", "note_id"), ((run.rule_id, again.id, note) for note in notes))
    enqueue_many([again])
    return again
