"""A run's operations made anew from its stored answers: nobody is called, nothing is written."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from automation.models import Run
from kjxlkj.notes.tags import normalise_tags
from librarian.bundles import Bundle
from librarian.canon import digest
from librarian.models import Operation, RunReport
from librarian.protocol import PARSER_VERSION, ProposedOperation
from librarian.questions import PLAN, REPAIR, Question


@dataclass(frozen=True, slots=True)
class Replay:
    """`was` is the digest that the run left, “” if it is older than digests; `differences` are lines for people."""

    operations: Sequence[ProposedOperation]
    was: str
    now: str
    parser_then: str
    parser_now: str = PARSER_VERSION
    troubles: Sequence[str] = ()
    differences: Sequence[str] = field(default_factory=list)

    @property
    def is_identical(self) -> bool:
        return self.was == self.now if self.was else not self.differences


def replay(run: Run) -> Replay:
    questions = list(_questions(run))
    read = run.result_json.get("read")
    operations = [operation for question in questions for operation in _operations(question, read)]
    report = RunReport.objects.filter(run=run).first() or RunReport(run=run)
    return Replay(
        operations=operations,
        was=report.operations_sha256,
        now=digest(operations),
        parser_then=report.parser_version,
        troubles=[f"{each.trouble.code}: {each.trouble.detail}" for each in questions if each.trouble],
        differences=list(_differences(run, operations)),
    )


def _questions(run: Run) -> Iterator[Question]:
    """As the answers have left them, in order."""
    answered = run.exchanges.filter(failure="", answered_at__isnull=False)
    for index, exchanges in groupby(
        answered.order_by("index", "created_at", "attempt"), key=lambda exchange: exchange.index
    ):
        question = Question(run, index, Bundle(()))
        for exchange in exchanges:
            if exchange.stage != REPAIR:
                question = Question(run, index, Bundle(()), exchange.stage)
            if not question.is_settled:
                question.hear(exchange, strict=_is_strict(run))
        if question.stage != PLAN:
            yield question


def _is_strict(run: Run) -> bool:
    plan = run.rule_snapshot.get("action_json", {}).get("plan") or {}
    return bool(plan.get("strict_mode", False))


def _operations(question: Question, read: Mapping[str, Sequence[str]] | None) -> Iterator[ProposedOperation]:
    """What counted of an answer: not what it says of notes that had changed when it was read.

    `read`: the questions whose answers were read, and those notes of each; None of runs that did not tell.
    """
    if question.response is None or (read is not None and str(question.index) not in read):
        return
    void = read[str(question.index)] if read else ()
    yield from (each for each in question.response.operations if each.target_note_id not in void)
    yield from question.response.excess


# --- What is different ------------------------------------------------------------------------------


def _differences(run: Run, operations: Sequence[ProposedOperation]) -> Iterator[str]:
    stored = {operation.index: operation for operation in Operation.objects.filter(run=run)}
    for index in range(max(len(operations), max(stored, default=-1) + 1)):
        row = stored.get(index)
        if row is not None and row.edited:
            continue  # a person's words stand in the place of the answer's
        now = _lines(_plain(operations[index])) if index < len(operations) else []
        was = _lines(_plain_row(row)) if row else []
        if now != was:
            names = (f"operation {index}, stored", f"operation {index}, replayed")
            yield from difflib.unified_diff(was, now, *names, lineterm="")


def _lines(values: object) -> list[str]:
    return json.dumps(values, ensure_ascii=False, indent=2, sort_keys=True).splitlines()


def _plain(operation: ProposedOperation) -> dict[str, object]:
    """What is kept of an operation as it was answered; where it was aimed at, its row tells in another form."""
    links = (
        None if operation.links is None else [{"text": link.text, "target": link.target} for link in operation.links]
    )
    return {
        "operation_id": operation.operation_id[:100],
        "kind": operation.kind,
        "title": (operation.title or "")[:1000],
        "body_markdown": operation.body_markdown or "",
        "tags": _tags(operation.tags),
        "links": links,
        "reason": operation.reason,
        "confidence": operation.confidence,
    }


def _plain_row(row: Operation) -> dict[str, object]:
    names = ("operation_id", "kind", "title", "body_markdown", "links", "reason", "confidence")
    return {**{name: getattr(row, name) for name in names}, "tags": _tags(row.tags)}


def _tags(tags: Sequence[str] | None) -> list[str]:
    """Checks normalise them."""
    return sorted({tag for given in tags or () for tag in normalise_tags([given])})
