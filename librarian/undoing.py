"""Taking decisions back: what was accepted by its inverse, what was rejected by having it wait again."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from automation.models import Run
from kjxlkj.errors import Conflict, DomainError
from kjxlkj.notes.cause import Cause
from kjxlkj.notes.history import state_at
from kjxlkj.notes.models import CauseKind, Note, NoteEvent
from kjxlkj.notes.services import update_note
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import Right, require
from librarian.models import Operation, OperationKind, OperationStatus
from librarian.services import APPLY, REJECT, Outcome, record_decision, require_review, save_decision


def undo_run(run: Run, *, actor: User) -> list[Outcome]:
    """Undo what the run's accepted operations did, last first; those whose note has changed since are skipped."""
    require(actor, run.workspace, Right.WRITE)
    # What it has marked and not applied yet is not wanted either.
    Operation.objects.filter(run=run).leave_to_people("Its run was undone.")
    applied = Operation.objects.filter(run=run, status=OperationStatus.APPLIED).select_related("workspace")
    return undo(applied.order_by("-decided_at", "-index"), actor=actor)


def undo(operations: Iterable[Operation], *, actor: User) -> list[Outcome]:
    """Write the inverse of each applied operation; put one that a person rejected back among those that wait.

    Raises as `review` before anything is done.
    """
    operations = list(operations)
    for workspace in {operation.workspace_id: operation.workspace for operation in operations}.values():
        require_review(workspace, actor)
    return [undo_operation(operation, actor=actor) for operation in operations]


def undo_operation(operation: Operation, *, actor: User) -> Outcome:
    try:
        with transaction.atomic():
            locked = Operation.objects.select_for_update(no_key=True).get(pk=operation.pk)
            require_review(operation.workspace, actor)
            return _undo(locked, actor)
    except DomainError as error:
        operation.refresh_from_db()
        return Outcome(operation, operation.status, error.code, error.message)


def _undo(operation: Operation, actor: User) -> Outcome:
    if operation.status == OperationStatus.REJECTED and operation.decided_by_id:
        return _reopen(operation, actor)
    if operation.status != OperationStatus.APPLIED:
        raise Conflict("NOT_APPLIED", f"This operation is {operation.status}; there is nothing to undo.")
    version = None
    if operation.applied_event is not None:
        version = _inverse(operation, operation.applied_event, actor).version
    operation.status = OperationStatus.REVERTED
    operation.undone_by, operation.undone_at = actor, timezone.now()
    operation.save(update_fields=["status", "undone_by", "undone_at"])
    record_decision("operation.reverted", operation, actor, {"decision": APPLY})
    return Outcome(operation, operation.status, note_version=version)


def _reopen(operation: Operation, actor: User) -> Outcome:
    operation.status = OperationStatus.PENDING
    operation.reject_code = operation.reject_reason = operation.via = ""
    operation.decided_by = operation.decided_at = operation.batch = operation.shown_at = None
    # A person took it in hand: its rule does not apply it behind their back.
    operation.auto_apply = False
    save_decision(operation, ["reject_code", "reject_reason", "auto_apply"])
    record_decision("operation.reverted", operation, actor, {"decision": REJECT})
    return Outcome(operation, operation.status)


def _inverse(operation: Operation, event: NoteEvent, actor: User) -> Note:
    note = Note.objects.select_for_update(no_key=True).get(pk=event.note_id)
    if version := _changed_since(note, operation, event):
        raise Conflict("CHANGED_SINCE", f"“{note.title}” was changed since (version {version}); it was left as it is.")
    cause = Cause(CauseKind.UNDO, actor, operation.run_id, operation.id)
    values = {"deleted_at": timezone.now()} if operation.kind == OperationKind.CREATE else event.before
    return update_note(note, base_version=note.version, cause=cause, **values)


def _changed_since(note: Note, operation: Operation, event: NoteEvent) -> int | None:
    """The version that left the note otherwise than `event` did. What was changed and changed back counts for nothing,
    and neither do other fields that the same run has changed."""
    by_field: dict[str, int] = {}
    for later in note.history.filter(seq__gt=event.seq).order_by("seq").defer("before"):
        if later.run_id != operation.run_id or set(event.changed) & set(later.changed):
            by_field |= dict.fromkeys(later.changed, later.seq)
    if not by_field:
        return None
    then = {**state_at(note, event.seq), "deleted_at": None}
    return max((seq for field, seq in by_field.items() if getattr(note, field) != then[field]), default=None)
