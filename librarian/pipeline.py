"""A run of the librarian: ingest → plan → propose → validate. What it leaves are operations for people to decide.

Every answer is stored as an Exchange before it is used, so a run that is cut off and taken up again asks nobody
twice about the same texts, and can be replayed from what is stored.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from django.conf import settings
from django.db import transaction

from automation.models import Run
from automation.trace import stage
from kjxlkj.errors import DomainError
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.patience import patiently
from kjxlkj.jobs.slots import slot
from kjxlkj.notes.filters import condition_q
from kjxlkj.notes.models import Note, NoteKind
from librarian.models import Exchange, Operation, OperationStatus, RunReport
from librarian.plan import Plan, read_plan
from librarian.protocol import PARSER_VERSION, ProtocolError, Response, parse_response
from librarian.providers import offline
from librarian.validation import Proposed, is_off_limits, validated

SOURCES_PER_REQUEST = 50
# A bound for the parser where the rule sets none: no answer is honest with more than this for each source.
_OPERATIONS_PER_SOURCE = 8
_LEFT_OUT_LISTED = 100
# How long an answer waits for a database that is away, before it is given up: half of a lease.
_STORE_SECONDS = 30.0


def work(run: Run, lease: Lease) -> Callable[[], None]:
    """The action's work (see `automation.actions.Action`)."""
    plan = read_plan(run.rule_snapshot["action_json"])
    with stage(run, "ingest") as counts:
        sources, left_out = _ingest(run, plan)
        counts.update(sources=len(sources), left_out=len(left_out))
    run.result_json["left_out"] = left_out[:_LEFT_OUT_LISTED]
    lease.progress(0, len(sources), "Reading notes")
    with stage(run, "plan") as counts:
        requests = [
            sources[start : start + SOURCES_PER_REQUEST] for start in range(0, len(sources), SOURCES_PER_REQUEST)
        ]
        counts.update(requests=len(requests))
    with stage(run, "propose") as counts:
        proposals, warnings = _propose(run, plan, requests, lease)
        counts.update(proposals=len(proposals), warnings=len(warnings))
    with stage(run, "validate") as counts:
        operations = validated(run, plan, sources, proposals)
        refused = sum(operation.status == OperationStatus.REJECTED for operation in operations)
        counts.update(operations=len(operations), refused=refused)
    run.result_json["outcome"] = _outcome(len(sources), len(operations), refused)

    def effects() -> None:
        Operation.objects.bulk_create(operations, batch_size=1000)
        RunReport.objects.create(
            run=run,
            provider_kind=plan.provider.kind,
            model=offline.MODEL,
            parser_version=PARSER_VERSION,
            parsed_count=len(operations),
            warnings=warnings,
        )

    return effects


# --- Ingest ---------------------------------------------------------------------------------------


def _ingest(run: Run, plan: Plan) -> tuple[list[Note], list[dict[str, str]]]:
    """The notes to work on, and those left out with the reason."""
    notes = Note.objects.filter(id__in=run.sources.values("note_id")).order_by("path", "id")
    in_scope = set(notes.filter(condition_q(plan.scope)).values_list("id", flat=True)) if plan.scope else None
    chosen, left_out = [], []
    for note in notes:
        why = _why_not(note)
        if not why and in_scope is not None and note.id not in in_scope:
            why = "outside of the rule's scope"
        if why:
            left_out.append({"note_id": str(note.id), "path": note.path, "why": why})
        else:
            chosen.append(note)
    return chosen, left_out


def _why_not(note: Note) -> str:
    if note.deleted_at is not None:
        return "deleted"
    if note.kind != NoteKind.MARKDOWN:
        return f"of kind {note.kind}"
    if is_off_limits(note):
        return "its front matter says librarian: never"
    return ""


# --- Propose --------------------------------------------------------------------------------------


def _propose(
    run: Run, plan: Plan, requests: Sequence[Sequence[Note]], lease: Lease
) -> tuple[list[Proposed], list[str]]:
    """Every request's operations in order. Raises `DomainError` with the protocol's code for a bad answer."""
    stored = {exchange.index: exchange for exchange in run.exchanges.filter(stage="propose", failure="")}
    allowed = plan.max_operations
    proposals: list[Proposed] = []
    warnings: list[str] = []
    done = 0
    for index, sources in enumerate(requests):
        lease.check()
        exchange = stored.get(index)
        # An answer about notes that have changed since is none: what it says of a former text would pass for news.
        if exchange is None or exchange.prompt != offline.prompt(request_id(run, index), sources):
            exchange = _ask(run, plan, index, sources, lease, attempt=exchange.attempt + 1 if exchange else 1)
        response = _read(run, exchange, len(sources))
        for operation in response.operations:
            proposals.append(Proposed(operation, excess=allowed is not None and len(proposals) >= allowed))
        proposals += [Proposed(operation, excess=True) for operation in response.excess]
        warnings += [*response.warnings, *(notice.message for notice in response.notices)]
        done += len(sources)
        lease.progress(done, sum(map(len, requests)), "Proposing")
    return proposals, warnings


def _ask(run: Run, plan: Plan, index: int, sources: Sequence[Note], lease: Lease, *, attempt: int) -> Exchange:
    began = time.monotonic()
    with _provider_slot(lease, plan.provider.kind):
        answer = offline.answer(run.workspace_id, request_id(run, index), plan, sources)
    exchange = Exchange(
        run=run,
        stage="propose",
        index=index,
        attempt=attempt,
        provider_kind=plan.provider.kind,
        model=offline.MODEL,
        prompt=answer.prompt,
        response=answer.response,
        latency_ms=round((time.monotonic() - began) * 1000),
    )
    patiently(partial(_store, exchange, lease), _STORE_SECONDS)
    return exchange


def _store(exchange: Exchange, lease: Lease) -> None:
    """What was answered, and may have been paid for, before anything is done with it; once, however often tried."""
    with transaction.atomic():
        lease.guard()
        if not Exchange.objects.filter(pk=exchange.pk).exists():
            exchange.save(force_insert=True)


def _provider_slot(lease: Lease, provider_kind: str) -> AbstractContextManager[None]:
    """Raises Postponed where all are taken. Answers are stored one by one: a run that comes back asks none again."""
    most = settings.PROVIDER_SLOTS.get(provider_kind)
    return slot(lease, f"provider {provider_kind}", most) if most else nullcontext()


def request_id(run: Run, index: int) -> str:
    """The same each time the run asks this, so that a stored answer fits the question."""
    return f"{run.id}-{index}"


def _read(run: Run, exchange: Exchange, sources: int) -> Response:
    try:
        return parse_response(
            exchange.response,
            request_id=request_id(run, exchange.index),
            max_operations=sources * _OPERATIONS_PER_SOURCE,
        )
    except ProtocolError as error:
        fault = error.faults[0]
        raise DomainError(fault.code, f"answer {exchange.index}, line {fault.line}: {fault.message}") from error


def _outcome(sources: int, operations: int, refused: int) -> str:
    """One sentence for people."""
    if not sources:
        return "No note was left to work on."
    proposed = operations - refused
    notes = "1 note" if sources == 1 else f"{sources:,} notes"
    kept_back = f"; {refused:,} more were refused by a check" if refused else ""
    if not proposed:
        return f"Read {notes} and proposed nothing{kept_back}."
    return f"Read {notes} and proposed {proposed:,} {'change' if proposed == 1 else 'changes'}{kept_back}."
