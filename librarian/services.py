"""People's decisions on operations: apply, reject, edit then apply. The API and the admin both call this."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from automation.models import Run
from kjxlkj.errors import Conflict, DomainError, NotFound
from kjxlkj.notes.cause import Cause
from kjxlkj.notes.history import state_at
from kjxlkj.notes.models import CauseKind, Note, NoteEvent
from kjxlkj.notes.services import NewNote, create_note, update_note
from kjxlkj.workspaces.events import NewEvent, record
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.roles import Right, require
from librarian.edits import apply_edits
from librarian.effects import FIELDS, REBASED, values_of
from librarian.models import Batch, Operation, OperationKind, OperationStatus
from librarian.reviewing_time import measure, measure_edits
from librarian.validation import check_stands

APPLY, REJECT = "apply", "reject"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided. `base_version`: the note's version they saw, where that is newer than the proposal.

    `via` and `seconds`, for which they had it before their eyes, are kept where the instance measures that.
    """

    operation_id: UUID
    decision: str
    reject_reason: str = ""
    edits: Mapping[str, Any] | None = None
    base_version: int | None = None
    via: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a decision. With a `code`, it could not be carried out and nothing was changed."""

    operation: Operation
    status: str
    code: str = ""
    message: str = ""
    note_version: int | None = None


def review(
    decisions: Sequence[Decision], *, actor: User, run: Run | None = None, batch: Batch | None = None
) -> list[Outcome]:
    """Carry out each decision in its own transaction, in order; one that fails leaves the others alone.

    Those that are done are marked as of `batch`.

    Raises `NotFound` OPERATION_NOT_FOUND or `Forbidden` before anything is done, if any of the operations is not
    there, not of `run`, or not for this person to decide.
    """
    operations = decidable([decision.operation_id for decision in decisions], actor, run)
    return [_decide(operations[decision.operation_id], decision, actor, batch) for decision in decisions]


def decidable(ids: Sequence[UUID], actor: User, run: Run | None = None) -> dict[UUID, Operation]:
    """The operations by id. Raises as `review` if any is not there, not of `run`, or not for `actor` to decide."""
    operations = Operation.objects.filter(id__in=ids).select_related("workspace", "target_note")
    if run is not None:
        operations = operations.filter(run=run)
    found = {operation.id: operation for operation in operations}
    missing = [str(operation_id) for operation_id in ids if operation_id not in found]
    if missing:
        raise _unknown(missing)
    for workspace in {operation.workspace_id: operation.workspace for operation in found.values()}.values():
        require_review(workspace, actor)
    return found


def require_review(workspace: Workspace, actor: User) -> None:
    try:
        require(actor, workspace, Right.WRITE)
    except NotFound as error:
        raise _unknown([]) from error


def _unknown(ids: Sequence[str]) -> NotFound:
    return NotFound(
        "OPERATION_NOT_FOUND", "There is no such operation here, or you may not see it.", {"operation_ids": list(ids)}
    )


def _decide(operation: Operation, decision: Decision, actor: User, batch: Batch | None) -> Outcome:
    try:
        with transaction.atomic():
            # Two people at once: the second waits here, and then finds it decided.
            locked = Operation.objects.select_for_update(no_key=True).get(pk=operation.pk)
            require_review(operation.workspace, actor)
            _check_pending(locked)
            locked.batch = batch
            measure(locked, decision.via, decision.seconds)
            if decision.decision == REJECT:
                return _reject(locked, decision, actor)
            return _apply(locked, decision, actor)
    except DomainError as error:
        operation.refresh_from_db()
        version = operation.target_note.version if operation.target_note else None
        return Outcome(operation, operation.status, error.code, error.message, version)


def _check_pending(operation: Operation) -> None:
    if operation.status == OperationStatus.PENDING:
        return
    by_nobody = "by a check" if operation.status == OperationStatus.REJECTED else "by the rule itself"
    person, moment = operation.decided_by, operation.decided_at
    if operation.status == OperationStatus.REVERTED:
        person, moment = operation.undone_by, operation.undone_at
    who = f"by {person}" if person else by_nobody
    when = f" at {moment:%Y-%m-%d %H:%M} UTC" if moment else ""
    raise Conflict("ALREADY_DECIDED", f"This operation was {operation.status} {who}{when}.")


# --- Reject ---------------------------------------------------------------------------------------


def _reject(operation: Operation, decision: Decision, actor: User) -> Outcome:
    operation.status = OperationStatus.REJECTED
    operation.reject_code = "REJECTED_BY_PERSON"
    operation.reject_reason = decision.reject_reason.strip()
    _decided(operation, actor)
    save_decision(operation, ["reject_code", "reject_reason"])
    record_decision("operation.rejected", operation, actor, {"reason": operation.reject_reason})
    return Outcome(operation, operation.status)


# --- Apply ----------------------------------------------------------------------------------------


def apply_by_itself(operation: Operation, why: str) -> Outcome:
    """Apply a pending operation, which the caller has locked in this transaction, as its rule wants it and nobody else.

    Raises `DomainError` where it does not fit any more.
    """
    _check_pending(operation)
    return _apply(operation, Decision(operation.id, APPLY), None, why)


def _apply(operation: Operation, decision: Decision, actor: User | None, why: str = "") -> Outcome:
    if decision.edits:
        proposed = copy(operation)
        apply_edits(operation, decision.edits)
        measure_edits(operation, proposed)
    reason = " ".join(part for part in (why, operation.reason) if part)
    cause = Cause(CauseKind.OPERATION, actor, operation.run_id, operation.id, reason)
    note = _applied(operation, decision, cause)
    operation.status = OperationStatus.APPLIED
    fields = ["title", "body_markdown", "tags", "links", "edited", "edited_characters", "target_note", "applied_event"]
    if note is not None:
        operation.target_note = note
        operation.applied_event = NoteEvent.objects.get(note=note, seq=note.version)
    _decided(operation, actor)
    save_decision(operation, fields)
    automatic = {} if actor else {"automatic": True}
    record_decision("operation.applied", operation, actor, {"edited": operation.edited, **automatic})
    return Outcome(operation, operation.status, note_version=note.version if note else None)


def _applied(operation: Operation, decision: Decision, cause: Cause) -> Note | None:
    """Write the note; None for a question, which changes nothing."""
    if operation.kind == OperationKind.DEFER:
        return None
    if operation.kind == OperationKind.CREATE:
        title = operation.title or operation.target_path.rpartition("/")[2].removesuffix(".md")
        new = NewNote(title, operation.body_markdown, operation.target_path, operation.tags or ())
        return create_note(operation.workspace, new, cause=cause)
    if operation.target_note_id is None:
        raise NotFound("NOTE_NOT_FOUND", "The operation names no note. Reject it.")
    note = Note.objects.select_for_update(no_key=True).get(pk=operation.target_note_id)
    check_stands(operation, note)
    base_tags = _check_version(operation, decision, note)
    version = note.version
    note = update_note(note, base_version=version, cause=cause, **values_of(operation, note, base_tags=base_tags))
    if note.version == version:
        raise Conflict("NO_CHANGE", "The note says so already; reject the operation, or edit it.")
    return note


def _check_version(operation: Operation, decision: Decision, note: Note) -> list[str] | None:
    """Refuse a note that has moved on, unless the person decided in sight of its present version.

    Returns the tags that the proposal was made from where they may differ from the present ones.
    """
    base = operation.base_version or 1
    if note.version == base:
        return None
    base_tags = state_at(note, base)["tags"] if operation.kind == OperationKind.RETAG else None
    if not moved_on(operation, note):
        return base_tags
    # A rewrite replaces the text whole: only one that was edited in sight of the present text may.
    seen = decision.base_version == note.version
    if seen and (operation.kind in REBASED or "body_markdown" in (decision.edits or {})):
        return base_tags
    raise Conflict(
        "VERSION_CONFLICT",
        f"The note has changed since this was proposed: it is at version {note.version}, the proposal is of {base}. "
        "Look at it again, then accept it for the present version.",
        {"current_version": note.version, "base_version": base},
    )


def moved_on(operation: Operation, note: Note) -> bool:
    """Whether anything but this run's operations on other fields has changed the note since the proposal."""
    later = note.history.filter(seq__gt=operation.base_version or 0)
    return any(
        event.run_id != operation.run_id or FIELDS[operation.kind] in event.changed
        for event in later.only("run_id", "changed")
    )


# --- Steps ----------------------------------------------------------------------------------------


def _decided(operation: Operation, actor: User | None) -> None:
    operation.decided_by = actor
    operation.decided_at = timezone.now()


def save_decision(operation: Operation, fields: list[str]) -> None:
    operation.save(update_fields=["status", "decided_by", "decided_at", "batch", "via", "shown_at", *fields])


def record_decision(event: str, operation: Operation, actor: User | None, payload: dict[str, Any]) -> None:
    about = {"operation_id": str(operation.id), "kind": operation.kind, **payload}
    new = NewEvent(event, note_id=operation.target_note_id, payload=about)
    record(operation.workspace_id, [new], actor=actor, run_id=operation.run_id)
