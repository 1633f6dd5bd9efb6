"""Proposals that are applied without a person: marked when their run ends, applied by a sweep, one by one.

Off unless a rule names kinds for it, and locked until its like were accepted often enough (`librarian.gates`). What
is marked is looked at again before it is applied: whoever changes, disables or deletes the rule meanwhile, or undoes
enough of what it did, stops it there, and the proposal waits for people as any other.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from django.db import InterfaceError, OperationalError

from automation.models import Rule, Run
from kjxlkj.errors import Conflict, DomainError
from kjxlkj.jobs.bounded import bounded_transaction
from kjxlkj.workspaces.models import WorkspaceState
from librarian.acceptance import band_label
from librarian.gates import Gate, gates_for, key_of
from librarian.models import Operation, OperationKind, OperationStatus
from librarian.plan import Plan, read_plan
from librarian.services import apply_by_itself

logger = logging.getLogger(__name__)

# In one sweep: others wait for it.
_BATCH = 200


def plan_of(rule: Rule) -> Plan | None:
    """What the rule wants at present; None: it is not the librarian's."""
    return read_plan(rule.action_json) if rule.action_json.get("kind") == "librarian_structure" else None


# --- Mark -----------------------------------------------------------------------------------------


def mark(run: Run, plan: Plan, operations: Sequence[Operation]) -> list[str]:
    """Set `auto_apply` of the unsaved operations that may be applied by themselves.

    Within the transaction that ends the run, before they are written. Returns a sentence for each sort of operation
    that the plan names and that waits for people all the same.
    """
    asked = [operation for operation in operations if _is_asked_for(operation, plan)]
    clean = [operation for operation in asked if not operation.warnings]
    found = gates_for(run.rule_id, plan, clean)
    for operation in clean:
        operation.auto_apply = found[key_of(operation)].is_open
    locked = sorted((gate for gate in found.values() if not gate.is_open), key=lambda gate: gate.name)
    return [*(f"{gate.name}: {gate.why}" for gate in locked), *_of_warnings(asked)]


def _is_asked_for(operation: Operation, plan: Plan) -> bool:
    least = plan.auto_apply.get(operation.kind)
    pending = operation.status == OperationStatus.PENDING and operation.kind != OperationKind.DEFER
    return pending and least is not None and operation.confidence >= least


def _of_warnings(operations: Sequence[Operation]) -> list[str]:
    warned = Counter(key_of(operation) for operation in operations if operation.warnings)
    return [
        f"{OperationKind(kind).label.capitalize()} at {band_label(band)}{f' by {model}' if model else ''}: "
        f"{count} with warnings; people review {'it' if count == 1 else 'them'}."
        for (model, kind, band), count in sorted(warned.items())
    ]


# --- Apply ----------------------------------------------------------------------------------------


def apply_waiting() -> int:
    """A chore: apply what is marked, oldest first, each alone. Returns how many were applied.

    Several sweeps at once, and people who decide meanwhile, share them out by the lock on each: nothing is applied
    twice. What cannot be applied waits for people from then on, so that none stands in another's way.
    """
    waiting = Operation.objects.pending().filter(auto_apply=True, workspace__state=WorkspaceState.ACTIVE).in_order()
    return sum(_attempt(pk) for pk in list(waiting.values_list("pk", flat=True)[:_BATCH]))


def _attempt(operation_id: UUID) -> bool:
    try:
        return _apply(operation_id)
    except DomainError as error:
        why = error.message
        logger.info("operation %s waits for people: %s", operation_id, why)
    except (OperationalError, InterfaceError):
        raise  # the database is away, for all of them
    except Exception:
        # Broad, for the sake of the operations that come after it.
        why = "It met with an error, which the log of the workers tells."
        logger.exception("operation %s could not be applied by itself, and waits for people", operation_id)
    Operation.objects.filter(pk=operation_id).leave_to_people(why)
    return False


@bounded_transaction()
def _apply(operation_id: UUID) -> bool:
    """Raises `DomainError` as a person's decision would, or if it is for people now."""
    mine = Operation.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
    operation = mine.pending().filter(pk=operation_id, auto_apply=True).select_related("workspace", "run__rule").first()
    if operation is None or operation.workspace.state != WorkspaceState.ACTIVE:
        return False
    gate = _open_gate(operation)
    apply_by_itself(operation, f"Applied by itself: {gate.evidence}.")
    return True


def _open_gate(operation: Operation) -> Gate:
    """What lets it through as things are now. Raises `Conflict` NOT_BY_ITSELF, with the reason, if it is for people."""
    rule = operation.run.rule
    if rule.deleted_at is not None:
        raise Conflict("NOT_BY_ITSELF", "Its rule was deleted.")
    if not rule.enabled:
        raise Conflict("NOT_BY_ITSELF", "Its rule is disabled.")
    if operation.warnings:
        raise Conflict("NOT_BY_ITSELF", "It bears a warning.")
    plan = plan_of(rule)
    if plan is None or not _is_asked_for(operation, plan):
        raise Conflict("NOT_BY_ITSELF", "Its rule was changed, and does not ask for it any more.")
    gate = gates_for(rule.id, plan, [operation])[key_of(operation)]
    if not gate.is_open:
        raise Conflict("NOT_BY_ITSELF", gate.why)
    return gate
