"""Many operations decided with one press, and undone with one."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Q, QuerySet

from kjxlkj.errors import field_error
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import scoped
from librarian.models import Batch, Operation, Via
from librarian.services import Decision, Outcome, decidable, review
from librarian.undoing import undo

# What one request can carry out while somebody waits.
MOST = 500


def decide_together(
    ids: Sequence[UUID],
    decision: str,
    *,
    actor: User,
    reason: str = "",
    via: str = Via.BULK,
    seconds: float | None = None,
) -> tuple[Batch, list[Outcome]]:
    """Decide exactly `ids`, each in its own transaction; what could not be done is kept with the batch, by id.

    Raises as `librarian.services.review` before anything is done, and `Invalid` if there are none, too many or one
    twice.
    """
    if not 0 < len(ids) <= MOST or len(set(ids)) < len(ids):
        raise field_error("operation_ids", f"operation_ids: name 1 to {MOST} operations, each once.")
    decidable(ids, actor)
    batch = Batch.objects.create(decision=decision, reason=reason.strip(), size=len(ids), decided_by=actor)
    share = None if seconds is None else seconds / len(ids)
    decisions = [Decision(each, decision, reason, via=via, seconds=share) for each in ids]
    outcomes = review(decisions, actor=actor, batch=batch)
    batch.refusals = [
        {"operation_id": str(outcome.operation.id), "code": outcome.code, "message": outcome.message}
        for outcome in outcomes
        if outcome.code
    ]
    if batch.refusals:
        batch.save(update_fields=["refusals"])
    return batch, outcomes


def undo_batch(batch: Batch, *, actor: User) -> list[Outcome]:
    """Undo what was done with `batch`, last first; what was changed since is skipped and named.

    Raises as `librarian.undoing.undo` before anything is done.
    """
    operations = Operation.objects.filter(batch=batch).can_be_undone().select_related("workspace")
    return undo(operations.order_by("-decided_at", "-index"), actor=actor)


def visible_batches(user: User) -> QuerySet[Batch]:
    """Those with an operation that this person may see, and their own."""
    seen = scoped(Operation.objects.filter(batch__isnull=False), user).values("batch")
    return Batch.objects.filter(Q(decided_by=user) | Q(pk__in=seen)).select_related("decided_by")


def with_visible_refusals(batches: Iterable[Batch], user: User) -> list[Batch]:
    """Each with `visible_refusals`: those of operations that this person may see. A batch may span workspaces."""
    found = list(batches)
    ids = {each["operation_id"] for batch in found for each in batch.refusals}
    seen = {str(pk) for pk in scoped(Operation.objects.filter(pk__in=ids), user).values_list("pk", flat=True)}
    for batch in found:
        visible = [each for each in batch.refusals if each["operation_id"] in seen]
        batch.visible_refusals = visible  # type: ignore[attr-defined]
    return found
