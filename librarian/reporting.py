"""The report of a run: who answered, with what prompts, and what it took."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from django.db.models import Count, Q, QuerySet

from automation.models import Run
from librarian.canon import digest
from librarian.models import Exchange, OperationStatus, RunReport
from librarian.plan import Plan
from librarian.prompt_pack import Pack
from librarian.protocol import PARSER_VERSION
from librarian.providers import OFFLINE
from librarian.questions import Question, Trouble
from librarian.validation import Proposed


def with_counts() -> QuerySet[RunReport]:
    """Reports with what has become of their runs' operations: `pending_count`, `applied_count` and so on."""
    return RunReport.objects.annotate(
        **{
            f"{status}_count": Count("run__operations", filter=Q(run__operations__status=status))
            for status in OperationStatus.values
        }
    )


def report_of(
    run: Run,
    plan: Plan,
    pack: Pack | None,
    questions: Sequence[Question],
    proposals: Sequence[Proposed],
    warnings: Sequence[str],
) -> RunReport:
    """Unsaved. Reads what was exchanged, without its texts."""
    exchanges = list(
        Exchange.objects.filter(run=run).only(
            "provider_kind", "model", "answered_model", "latency_ms", "prompt_tokens", "completion_tokens", "cost"
        )
    )
    read = [question.exchange for question in questions if question.response and question.exchange]
    answers = Counter(exchange.answered_model or exchange.model for exchange in read)
    costs = [exchange.cost for exchange in exchanges if exchange.cost is not None]
    in_its_place = not plan.provider.is_offline and any(exchange.provider_kind == OFFLINE for exchange in read)
    return RunReport(
        run=run,
        provider_kind=plan.provider.kind,
        model=next((model for model, _ in answers.most_common(1)), plan.provider.model)[:200],
        answers=dict(answers),
        fallback=OFFLINE if in_its_place else "",
        prompt_hash=pack.sha256 if pack else "",
        prompt_pack_version=pack.version if pack else "",
        parser_version=PARSER_VERSION,
        parsed_count=len(proposals),
        operations_sha256=digest([proposal.operation for proposal in proposals]),
        warnings=[*warnings, *_warnings(questions)],
        failures=[_failure(question, question.trouble) for question in questions if question.trouble],
        requests=len(exchanges),
        latency_ms=sum(exchange.latency_ms for exchange in exchanges),
        prompt_tokens=sum(exchange.prompt_tokens for exchange in exchanges),
        completion_tokens=sum(exchange.completion_tokens for exchange in exchanges),
        cost=sum(costs, Decimal(0)) if costs else None,
    )


def _warnings(questions: Sequence[Question]) -> list[str]:
    found = []
    for question in questions:
        if question.response:
            said = [*question.response.warnings, *(notice.message for notice in question.response.notices)]
            if question.response.status != "ok":
                said.insert(0, f"The model answered “{question.response.status}”: {question.response.summary}")
            found += said
    return found


def _failure(question: Question, trouble: Trouble) -> dict[str, object]:
    return {
        "index": question.index,
        "code": trouble.code,
        "detail": trouble.detail,
        "note_ids": [str(note.id) for note in question.bundle.sources],
    }
