"""What workers do with a run, and how its workspace is told of it (called by `kjxlkj.jobs`)."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from django.db import DatabaseError, InterfaceError
from django.db.models import prefetch_related_objects

from automation import actions
from automation.budgets import reserve
from automation.models import Run
from kjxlkj.errors import Invalid
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.outcomes import Incomplete
from kjxlkj.workspaces.events import NewEvent, record_for_each


def work(run: Run, lease: Lease) -> actions.Effects | None:
    """Do what the rule's action does. Raises `Invalid` ACTION_UNKNOWN if nothing is registered for it."""
    kind = run.rule_snapshot.get("action_json", {}).get("kind")
    action = actions.find(kind)
    if action is None:
        raise Invalid("ACTION_UNKNOWN", f"No app offers the action “{kind}”. Change the rule, or install the app.")
    run.result_json.pop("stages", None)  # of an attempt that was cut off
    reserve(run, lease, action.budget(run.rule_snapshot["action_json"]))
    try:
        return partial(_finish, run, action.work(run, lease))
    except Incomplete as part:
        part.effects = partial(_finish, run, part.effects)
        raise
    except Exception:
        _keep_trace(run, lease)
        raise


def _finish(run: Run, effects: actions.Effects | None) -> None:
    if effects is not None:
        effects()
    Run.objects.filter(pk=run.pk).update(result_json=run.result_json)


def _keep_trace(run: Run, lease: Lease) -> None:
    """How far a run came that did not end well; what it ends with, `kjxlkj.jobs` writes."""
    with suppress(DatabaseError, InterfaceError):  # the fault itself is to be told, not this one
        Run.objects.filter(pk=run.pk, lease_token=lease.token).update(result_json=run.result_json)


def acts_outside(run: Run) -> bool:
    action_json = run.rule_snapshot.get("action_json", {})
    action = actions.find(action_json.get("kind"))
    return action is not None and action.acts_outside(action_json)


def announce(runs: Sequence[Run], previous: str | None) -> None:
    """The workspace events of a transition of `runs`, in its transaction."""
    prefetch_related_objects(runs, "created_by")
    record_for_each([(run.workspace_id, _transition(run)) for run in runs])


def _transition(run: Run) -> NewEvent:
    payload = {"rule_id": str(run.rule_id), "attempt": run.attempts}
    if run.error_code:
        payload |= {"code": run.error_code, "detail": run.error_detail[:500]}
    return NewEvent(f"run.{run.status}", payload=payload, actor=run.created_by, run_id=run.id)
