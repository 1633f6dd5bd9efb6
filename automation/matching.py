"""Events become runs: matched by SQL, in the transaction that writes the events.

Recording events locks the workspace's row (see `workspaces.events.record`), so matching in one workspace is
serialised: whoever looks for a queued run to join sees every run that the event before it made.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from automation.models import Rule, Run, RunSource, RunTrigger
from automation.runs import new_run, snapshot, source_limit
from automation.triggers import triggers_of
from automation.watch import matches
from kjxlkj.jobs.models import JobStatus
from kjxlkj.jobs.services import enqueue_many, refuse
from kjxlkj.notes.bulk import copy_rows
from kjxlkj.workspaces.models import WorkspaceEvent

MAX_DEPTH = 3

_SOURCE = ("rule_id", "run_id", "note_id", "event_id")

# Rules whose runs led to an event, the first of them first; empty for what a person did.
Chain = tuple[UUID, ...]


def on_events(events: Sequence[WorkspaceEvent]) -> None:
    """Listener of workspace events (of one workspace, in their order)."""
    fired = [event for event in events if event.note_id is not None and triggers_of(event.type)]
    if not fired:
        return
    triggers = {trigger for event in fired for trigger in triggers_of(event.type)}
    matching = matches(fired[0].workspace_id, triggers, {event.note_id for event in fired if event.note_id})
    if not matching:
        return
    chains = _chains(fired)
    for rule in Rule.objects.enabled().filter(id__in=matching).order_by("id"):
        by_chain: dict[Chain, list[WorkspaceEvent]] = {}
        for event in fired:
            if rule.trigger in triggers_of(event.type) and event.note_id in matching[rule.id]:
                by_chain.setdefault(chains.get(event.run_id, ()), []).append(event)
        for chain, heard in by_chain.items():
            _fire(rule, heard, chain)


def _chains(events: Sequence[WorkspaceEvent]) -> dict[UUID | None, Chain]:
    """By run, which rules stand between its events and a person."""
    caused_by = Run.objects.filter(id__in={event.run_id for event in events if event.run_id})
    return {run_id: (*chain, rule_id) for run_id, chain, rule_id in caused_by.values_list("id", "chain", "rule_id")}


def _fire(rule: Rule, events: Sequence[WorkspaceEvent], chain: Chain) -> None:
    if not chain:
        _add(rule, events, chain)
    elif not rule.on_automation or rule.id in chain:
        return  # it never feeds itself, nor through others
    elif len(chain) <= MAX_DEPTH:
        _add(rule, events, chain)
    else:
        _cut(rule, events, chain)


def _cut(rule: Rule, events: Sequence[WorkspaceEvent], chain: Chain) -> None:
    """A run that tells why nothing was done, so that nobody has to wonder."""
    run = new_run(rule, RunTrigger.EVENT, event=events[0], chain=chain)
    run.source_count = len({event.note_id for event in events})
    run.save(force_insert=True)
    copy_rows(RunSource, _SOURCE, [(rule.id, run.id, event.note_id, event.id) for event in events])
    names = dict(Rule.objects.filter(id__in=chain).values_list("id", "name"))
    led_here = " → ".join(f"“{names[rule_id]}”" for rule_id in chain)
    detail = f"Not begun: a chain ends after {MAX_DEPTH} runs that no person started. To here led {led_here}."
    refuse(run, "CHAIN_TOO_DEEP", detail)


def _add(rule: Rule, events: Sequence[WorkspaceEvent], chain: Chain) -> None:
    """Have the events join the rule's queued runs while these have room, then new ones."""
    waiting = list(events)
    limit = source_limit(rule)
    rows: list[tuple[UUID, UUID, UUID, UUID]] = []
    joinable = _joinable(rule, chain, limit)
    held: dict[UUID, set[UUID]] = {run.id: set() for run in joinable}
    about = {event.note_id for event in events}
    for run_id, note_id in RunSource.objects.filter(run__in=held, note__in=about).values_list("run_id", "note_id"):
        held[run_id].add(note_id)
    for run in joinable:
        rows += _take(rule, run, waiting, held[run.id], limit)
    Run.objects.bulk_update(joinable, ["source_count"])
    runs = []
    starts = timezone.now() + timedelta(seconds=rule.settle_seconds)
    while waiting:
        run = new_run(rule, RunTrigger.EVENT, event=waiting[0], chain=chain, not_before=starts)
        runs.append(run)
        rows += _take(rule, run, waiting, set(), limit)
    if runs:
        Run.objects.bulk_create(runs)
    copy_rows(RunSource, _SOURCE, rows)
    if runs:
        enqueue_many(runs)


def _joinable(rule: Rule, chain: Chain, limit: int) -> list[Run]:
    """Queued runs of the rule as it is now that have room, locked: a worker that would claim one waits, and then
    finds its new sources.

    One that somebody is claiming or cancelling is passed over, never waited for: they hold the run and will want
    the workspace, which we hold. A run that went back to the queue has read its sources already; only one never
    begun is joined.
    """
    queued = Run.objects.filter(
        rule=rule, status=JobStatus.QUEUED, trigger=RunTrigger.EVENT, started_at=None, chain=list(chain)
    )
    # An import leaves hundreds of full ones.
    queued = queued.filter(rule_snapshot=snapshot(rule), source_count__lt=limit).order_by("id")
    return list(queued.select_for_update(no_key=True, skip_locked=True))


def _take(
    rule: Rule, run: Run, waiting: list[WorkspaceEvent], held: set[UUID], limit: int
) -> list[tuple[UUID, UUID, UUID, UUID]]:
    """Move events from `waiting` into the run until it holds `limit` notes. `held`: which of theirs it holds."""
    rows = []
    left = []
    for event in waiting:
        note_id = event.note_id
        if note_id is not None and (note_id in held or run.source_count < limit):
            run.source_count += note_id not in held
            held.add(note_id)
            rows.append((rule.id, run.id, note_id, event.id))
        else:
            left.append(event)
    waiting[:] = left
    return rows
