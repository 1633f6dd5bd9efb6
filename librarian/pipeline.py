"""A run of the librarian: ingest → plan → propose → validate. What it leaves are operations for people to decide.

Every answer is stored as an Exchange before it is used, so a run that is cut off and taken up again asks nobody
twice about the same texts, and can be replayed from what is stored.
"""

from collections.abc import Callable, Iterator, Sequence

from automation.models import Run
from automation.trace import stage
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.outcomes import Incomplete
from kjxlkj.notes.filters import condition_q
from kjxlkj.notes.models import Note, NoteKind
from librarian import auto_apply
from librarian.consultation import Consultation
from librarian.models import Operation, OperationStatus
from librarian.plan import Plan, read_plan
from librarian.planning.privacy import why_not
from librarian.questions import Question, Trouble
from librarian.reporting import report_of
from librarian.validation import Proposed, validated

_LEFT_OUT_LISTED = 100


def work(run: Run, lease: Lease) -> Callable[[], None]:
    """The action's work (see `automation.actions.Action`). Raises `Incomplete` where some of it came to nothing."""
    plan = read_plan(run.rule_snapshot["action_json"])
    consultation = Consultation(run, lease, plan)
    with stage(run, "ingest") as counts:
        sources, left_out = _ingest(run, plan, is_local=consultation.is_local)
        counts.update(sources=len(sources), left_out=len(left_out))
    lease.progress(0, len(sources), "Reading notes")
    questions = consultation.questions_about(sources)
    for question in questions:
        left_out += [_left_out(note, question.left_out[note.id]) for note in sources if note.id in question.left_out]
    left_out += [
        _left_out(note, "the model did not choose it by its title and tags") for note in consultation.passed_over
    ]
    run.result_json["left_out"] = left_out[:_LEFT_OUT_LISTED]
    with stage(run, "validate") as counts:
        proposals = list(_proposals(questions, plan))
        operations = validated(run, plan, proposals)
        refused = sum(operation.status == OperationStatus.REJECTED for operation in operations)
        counts.update(operations=len(operations), refused=refused)
    troubles = [question.trouble for question in questions if question.trouble]
    run.result_json["read"] = {
        str(question.index): sorted(question.outdated) for question in questions if question.response
    }
    run.result_json["outcome"] = _outcome(len(sources), len(operations), refused, len(troubles))
    report = report_of(run, plan, consultation.pack, questions, proposals, consultation.warnings)

    def effects() -> None:
        if waits := auto_apply.mark(run, plan, operations):
            run.result_json["auto_apply"] = waits
        Operation.objects.bulk_create(operations, batch_size=1000)
        report.save(force_insert=True)

    if troubles:
        raise Incomplete(troubles[0].code, _told(troubles, len(questions), len(operations) - refused), effects)
    return effects


# --- Ingest ---------------------------------------------------------------------------------------


def _ingest(run: Run, plan: Plan, *, is_local: bool) -> tuple[list[Note], list[dict[str, str]]]:
    """The notes to work on, and those left out with the reason."""
    notes = Note.objects.filter(id__in=run.sources.values("note_id")).order_by("path", "id")
    in_scope = set(notes.filter(condition_q(plan.scope)).values_list("id", flat=True)) if plan.scope else None
    chosen, left_out = [], []
    for note in notes:
        why = _why_left_out(note, is_local=is_local)
        if not why and in_scope is not None and note.id not in in_scope:
            why = "outside of the rule's scope"
        if why:
            left_out.append(_left_out(note, why))
        else:
            chosen.append(note)
    return chosen, left_out


def _left_out(note: Note, why: str) -> dict[str, str]:
    return {"note_id": str(note.id), "path": note.path, "why": why}


def _why_left_out(note: Note, *, is_local: bool) -> str:
    if note.deleted_at is not None:
        return "deleted"
    if note.kind != NoteKind.MARKDOWN:
        return f"of kind {note.kind}"
    return why_not(note.metadata, is_local=is_local)


# --- Proposals -----------------------------------------------------------------------------------


def _proposals(questions: Sequence[Question], plan: Plan) -> Iterator[Proposed]:
    allowed, count = plan.max_operations, 0
    for question in questions:
        response, exchange = question.response, question.exchange
        if response is None or exchange is None:
            continue
        sent = {excerpt.note.id: excerpt for excerpt in question.bundle.excerpts}
        outdated = question.outdated
        for operation in response.operations:
            if operation.target_note_id in outdated:
                continue  # another request asks about it as it is now
            yield Proposed(operation, sent, exchange, excess=allowed is not None and count >= allowed)
            count += 1
        for operation in response.excess:
            yield Proposed(operation, sent, exchange, excess=True)


# --- What is told ---------------------------------------------------------------------------------


def _told(troubles: Sequence[Trouble], questions: int, proposed: int) -> str:
    kept = f" What the others proposed is kept: {proposed:,}." if proposed else ""
    if questions == 1:
        return troubles[0].detail
    return f"{len(troubles)} of {questions} requests came to nothing.{kept} The first: {troubles[0].detail}"


def _outcome(sources: int, operations: int, refused: int, troubles: int) -> str:
    """One sentence for people."""
    if not sources:
        return "No note was left to work on."
    proposed = operations - refused
    notes = "1 note" if sources == 1 else f"{sources:,} notes"
    kept_back = f"; {refused:,} more were refused by a check" if refused else ""
    came_to_nothing = "a request" if troubles == 1 else f"{troubles:,} requests"
    failed = f"; {came_to_nothing} came to nothing" if troubles else ""
    if not proposed:
        return f"Read {notes} and proposed nothing{kept_back}{failed}."
    return f"Read {notes} and proposed {proposed:,} {'change' if proposed == 1 else 'changes'}{kept_back}{failed}."
