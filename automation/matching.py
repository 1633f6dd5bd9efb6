"""Events become runs: matched by SQL, in the transaction that writes the events.

Recording events locks the workspace's row (see `workspaces.events.record`), so matching in one workspace is
serialised: whoever looks for a queued run to join sees every run that the event before it made.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Max
from django.utils import timezone

from automation.models import Rule, Run, RunSource, RunTrigger
from automation.runs import new_run, snapshot, source_limit
from automation.triggers import triggers_of
from kjxlkj.jobs.models import JobStatus
from kjxlkj.jobs.services import enqueue_many
from kjxlkj.notes.bulk import copy_rows
from kjxlkj.notes.filters import condition_q
from kjxlkj.notes.models import Note
from kjxlkj.workspaces.models import WorkspaceEvent

MAX_DEPTH = 3


def on_events(events: Sequence[WorkspaceEvent]) -> None:
    """Listener of workspace events (of one workspace, in their order)."""
    fired = [event for event in events if event.note_id is not None and triggers_of(event.type)]
    if not fired:
        return
    triggers = {trigger for event in fired for trigger in triggers_of(event.type)}
    rules = list(Rule.objects.enabled().filter(workspace_id=fired[0].workspace_id, trigger__in=triggers))
    if not rules:
        return
    depth = _depth_of(fired)
    for rule in rules:
        wanted = [event for event in fired if rule.trigger in triggers_of(event.type)]
        if wanted and _may_fire(rule, depth):
            _add(rule, _matching(rule, wanted), depth)


def _depth_of(events: Sequence[WorkspaceEvent]) -> int:
    """How deep in a chain of runs these events stand; all of one transaction share their cause."""
    run_ids = {event.run_id for event in events if event.run_id}
    if not run_ids:
        return 0
    deepest: int | None = Run.objects.filter(id__in=run_ids).aggregate(deepest=Max("depth"))["deepest"]
    return (deepest or 0) + 1


def _may_fire(rule: Rule, depth: int) -> bool:
    return depth == 0 or (rule.on_automation and depth <= MAX_DEPTH)


def _matching(rule: Rule, events: Sequence[WorkspaceEvent]) -> list[WorkspaceEvent]:
    """Those events whose note meets the rule's condition now, within this transaction."""
    about_deleted = rule.trigger == "note.deleted"
    notes = Note.objects.filter(condition_q(rule.condition_json), id__in={event.note_id for event in events})
    notes = notes.filter(deleted_at__isnull=not about_deleted)
    matching = set(notes.values_list("id", flat=True))
    return [event for event in events if event.note_id in matching]


def _add(rule: Rule, events: Sequence[WorkspaceEvent], depth: int) -> None:
    """Have the events join the rule's queued runs while these have room, then new ones."""
    waiting = list(events)
    limit = source_limit(rule)
    rows: list[tuple[UUID, UUID, UUID, UUID]] = []
    joinable = _joinable(rule, depth, limit)
    held: dict[UUID, set[UUID]] = {run.id: set() for run in joinable}
    for run_id, note_id in RunSource.objects.filter(run__in=held).values_list("run_id", "note_id"):
        held[run_id].add(note_id)
    for run in joinable:
        rows += _take(rule, run, waiting, held[run.id], limit)
    runs = []
    starts = timezone.now() + timedelta(seconds=rule.settle_seconds)
    while waiting:
        run = new_run(rule, RunTrigger.EVENT, event=waiting[0], depth=depth, not_before=starts)
        runs.append(run)
        rows += _take(rule, run, waiting, set(), limit)
    if runs:
        Run.objects.bulk_create(runs)
    copy_rows(RunSource, ("rule_id", "run_id", "note_id", "event_id"), rows)
    if runs:
        enqueue_many(runs)


def _joinable(rule: Rule, depth: int, limit: int) -> list[Run]:
    """Queued runs of the rule as it is now that have room, locked: a worker that would claim one waits, and then
    finds its new sources.

    One that somebody is claiming or cancelling is passed over, never waited for: they hold the run and will want
    the workspace, which we hold. A run that went back to the queue has read its sources already; only one never
    begun is joined.
    """
    queued = Run.objects.filter(
        rule=rule, status=JobStatus.QUEUED, trigger=RunTrigger.EVENT, started_at=None, depth=depth
    )
    # An import leaves hundreds of full ones; what they hold is counted there and not here.
    holding = RunSource.objects.filter(run__in=queued.values("id")).values("run_id")
    room = holding.annotate(held=Count("note_id", distinct=True)).filter(held__lt=limit).values("run_id")
    queued = queued.filter(rule_snapshot=snapshot(rule), id__in=room).order_by("id")
    return list(queued.select_for_update(no_key=True, skip_locked=True))


def _take(
    rule: Rule, run: Run, waiting: list[WorkspaceEvent], held: set[UUID], limit: int
) -> list[tuple[UUID, UUID, UUID, UUID]]:
    """Move events from `waiting` into the run until it holds `limit` notes."""
    rows = []
    left = []
    for event in waiting:
        note_id = event.note_id
        if note_id is not None and (note_id in held or len(held) < limit):
            held.add(note_id)
            rows.append((rule.id, run.id, note_id, event.id))
        else:
            left.append(event)
    waiting[:] = left
    return rows
