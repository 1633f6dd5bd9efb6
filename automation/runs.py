"""How a run is made from a rule."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from automation import actions
from automation.models import Rule, Run, RunTrigger
from kjxlkj.jobs.models import DEFAULT_QUEUE
from kjxlkj.workspaces.models import User, WorkspaceEvent

# For an action that is no longer registered; its run fails visibly in any case.
_DEFAULT_MAX_SOURCES = 50


def source_limit(rule: Rule) -> int:
    """How many notes one run of the rule takes: what the rule says or its action has by default, within the
    action's `most_sources`. One that works by the condition itself takes them all."""
    action = actions.find(rule.action_json.get("kind"))
    if action is None:
        return rule.max_sources or _DEFAULT_MAX_SOURCES
    chosen = rule.max_sources if action.reads_sources else None
    limit = chosen or action.max_sources(rule.action_json)
    return limit if action.most_sources is None else min(limit, action.most_sources)


def new_run(
    rule: Rule,
    trigger: RunTrigger,
    *,
    actor: User | None = None,
    event: WorkspaceEvent | None = None,
    chain: Sequence[UUID] = (),
    tick_at: datetime | None = None,
    batch: UUID | None = None,
    not_before: datetime | None = None,
) -> Run:
    """An unsaved, queued run with a snapshot of the rule as it is now."""
    action = actions.find(rule.action_json.get("kind"))
    return Run(
        queue=action.queue(rule.action_json) if action else DEFAULT_QUEUE,
        workspace_id=rule.workspace_id,
        rule=rule,
        triggering_event=event,
        trigger=trigger,
        depth=len(chain),
        chain=list(chain),
        tick_at=tick_at,
        batch=batch,
        not_before=not_before,
        rule_snapshot=snapshot(rule),
        created_by=actor,
    )


def snapshot(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "trigger": rule.trigger,
        "condition_json": rule.condition_json,
        "action_json": rule.action_json,
        "max_sources": source_limit(rule),
    }
