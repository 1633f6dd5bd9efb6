"""The rows of what is asked and answered: written before a request leaves and before its answer is used.

What a request may cost at the most is charged, and where it sends which notes is noted, in the transaction that makes
its row: whatever is killed afterwards, both stand. An answer corrects the charge.
"""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, Func, Max, Q, Sum, TextField
from django.utils import timezone

from automation.budgets import Charge, charge, correct, daily_budget
from automation.models import Run
from kjxlkj.errors import Invalid
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.patience import patiently
from kjxlkj.notes.models import Note
from librarian.bundles import Bundle
from librarian.models import Disclosure, Exchange
from librarian.plan import Limits, Provider
from librarian.planning.privacy import why_not
from librarian.planning.tokens import estimated_tokens
from librarian.providers.chat import Completion, ProviderFailure

# How long an answer waits for a database that is away, before it is given up: half of a lease.
STORE_SECONDS = 30.0
_MILLION = Decimal(1_000_000)


def open_exchange(exchange: Exchange, bundle: Bundle, provider: Provider, limits: Limits, lease: Lease) -> None:
    """Charge for `exchange`, unsaved, note in the ledger what it will send, and save it: all of it or nothing.

    Raises `Invalid` BUDGET_EXHAUSTED.
    """
    most = most_of(provider, exchange)
    with transaction.atomic():
        lease.guard()
        _check_run(exchange.run, limits, most)
        exchange.attempt = next_attempt(exchange)
        exchange.charged_on = charge(exchange.run, daily_budget(exchange.run.rule_snapshot["action_json"]), most)
        exchange.charged_tokens, exchange.charged_cost = most.tokens, most.cost
        exchange.save(force_insert=True)
        Disclosure.objects.bulk_create(_disclosures(exchange, bundle))


def most_of(provider: Provider, exchange: Exchange) -> Charge:
    """The most that a request can come to: its prompt, and an answer of the length that is allowed."""
    answer = int(exchange.parameters["max_tokens"])
    return Charge(
        exchange.estimated_tokens + answer, cost_of(provider, exchange.estimated_tokens, answer) or Decimal(0)
    )


def cost_of(provider: Provider, prompt_tokens: int, completion_tokens: int) -> Decimal | None:
    """In US dollars, by the prices that the rule gives; None without them."""
    if provider.input_price is None or provider.output_price is None:
        return None
    return (provider.input_price * prompt_tokens + provider.output_price * completion_tokens) / _MILLION


@dataclass(frozen=True, slots=True)
class Used:
    """Of one run, so far. `requests` that reached nobody are not counted."""

    requests: int
    tokens: int
    cost: Decimal


def used_by(run: Run) -> Used:
    counted = Count("pk", filter=Q(failure="") | Q(charged_tokens__gt=0))
    sums = Exchange.objects.filter(run=run, charged_on__isnull=False).aggregate(
        requests=counted, tokens=Sum("charged_tokens"), cost=Sum("charged_cost")
    )
    return Used(sums["requests"], sums["tokens"] or 0, sums["cost"] or Decimal(0))


def _check_run(run: Run, limits: Limits, most: Charge) -> None:
    used = used_by(run)
    if used.requests >= limits.max_requests:
        raise _exhausted(f"The run may make {limits.max_requests:,} requests, and has", "max_requests")
    if used.tokens + most.tokens > limits.max_total_tokens:
        what = f"The next request may need {most.tokens:,} tokens; of the run's {limits.max_total_tokens:,}"
        raise _exhausted(f"{what} {used.tokens:,} are used or reserved", "max_total_tokens")
    if limits.max_cost is not None and used.cost + most.cost > limits.max_cost:
        what = f"The next request may cost {most.cost:f} dollars; of the run's {limits.max_cost:f}"
        raise _exhausted(f"{what} {used.cost:f} are used or reserved", "max_cost")


def _exhausted(what: str, limit: str) -> Invalid:
    return Invalid("BUDGET_EXHAUSTED", f"{what}. Raise the rule's {limit}, or have fewer notes in a run.")


def next_attempt(exchange: Exchange) -> int:
    asked = Exchange.objects.filter(run=exchange.run, stage=exchange.stage, index=exchange.index)
    return (asked.aggregate(last=Max("attempt"))["last"] or 0) + 1


# --- The ledger -------------------------------------------------------------------------------------


def excluded_by_now(bundle: Bundle, *, is_local: bool) -> set[UUID]:
    """Those of its notes that may not be sent any more: deleted, or their front matter says so by now."""
    ids = {note.id for note in (*bundle.sources, *bundle.mentioned)}
    now = {note.id: note for note in Note.objects.filter(pk__in=ids).only("metadata", "deleted_at")}
    return {
        note_id
        for note_id in ids
        if note_id not in now or now[note_id].deleted_at or why_not(now[note_id].metadata, is_local=is_local)
    }


def _disclosures(exchange: Exchange, bundle: Bundle) -> list[Disclosure]:
    sources = {note.id: note for note in bundle.sources}
    rows = [
        _disclosure(exchange, note.id, note.version, hashlib.sha256(note.body.encode()).hexdigest(), "text")
        for note in sources.values()
    ]
    others = {note.id for note in bundle.mentioned} - sources.keys()
    if others:
        digest = Func(
            F("body"),
            template="encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex')",
            output_field=TextField(),
        )
        known = Note.objects.filter(pk__in=others).values_list("pk", "version", digest)
        rows += [_disclosure(exchange, note_id, version, sha256, "mention") for note_id, version, sha256 in known]
    return rows


def _disclosure(exchange: Exchange, note_id: UUID, version: int, sha256: str, part: str) -> Disclosure:
    return Disclosure(
        workspace_id=exchange.run.workspace_id,
        note_id=note_id,
        note_version=version,
        sha256=sha256,
        part=part,
        host=exchange.host,
        run_id=exchange.run_id,
        exchange_id=exchange.pk,
    )


# --- What came back ---------------------------------------------------------------------------------


def store_answer(exchange: Exchange, answer: Completion, provider: Provider, lease: Lease) -> None:
    exchange.response = answer.text
    exchange.reasoning = answer.reasoning
    exchange.answered_model = answer.model[:200]
    exchange.finish_reason = answer.finish_reason[:32]
    exchange.http_status = answer.status
    exchange.usage_reported = answer.prompt_tokens is not None
    exchange.prompt_tokens = answer.prompt_tokens or 0
    exchange.completion_tokens = answer.completion_tokens or 0
    prompt = exchange.prompt_tokens or exchange.estimated_tokens
    completion = exchange.completion_tokens or estimated_tokens(answer.text + answer.reasoning)
    exchange.cost = answer.cost if answer.cost is not None else cost_of(provider, prompt, completion)
    _close(exchange, Charge(prompt + completion, exchange.cost or Decimal(0)), lease)


def store_failure(exchange: Exchange, failure: ProviderFailure, lease: Lease) -> None:
    """What may have been answered, without our knowing what it took, stays charged at its most."""
    exchange.failure = failure.category
    exchange.failure_detail = failure.detail
    exchange.response = failure.body
    exchange.http_status = failure.status
    came_to = Charge(exchange.charged_tokens, exchange.charged_cost) if failure.may_be_billed else Charge()
    told = failure.completion
    if told is not None and told.prompt_tokens is not None:
        exchange.usage_reported = True
        exchange.prompt_tokens, exchange.completion_tokens = told.prompt_tokens, told.completion_tokens or 0
        exchange.cost = told.cost
        came_to = Charge(exchange.prompt_tokens + exchange.completion_tokens, told.cost or came_to.cost)
    _close(exchange, came_to, lease)


def _close(exchange: Exchange, came_to: Charge, lease: Lease) -> None:
    charged = Charge(exchange.charged_tokens, exchange.charged_cost)
    exchange.charged_tokens, exchange.charged_cost = came_to.tokens, came_to.cost
    exchange.answered_at = timezone.now()
    patiently(partial(_store, exchange, charged, came_to, lease), STORE_SECONDS)


def _store(exchange: Exchange, charged: Charge, came_to: Charge, lease: Lease) -> None:
    with transaction.atomic():
        lease.guard()
        # Once, however often it is tried: what was committed before a connection died is not corrected again.
        if not Exchange.objects.filter(pk=exchange.pk, answered_at=None).exists():
            return
        exchange.save(force_update=True)
        if exchange.charged_on is not None:
            correct(exchange.run, exchange.charged_on, charged, came_to)


def sources_json(bundle: Bundle) -> list[dict[str, object]]:
    return [
        {"note_id": str(excerpt.note.id), "version": excerpt.note.version, "cut": excerpt.is_cut}
        for excerpt in bundle.excerpts
    ]
