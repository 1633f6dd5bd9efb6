"""Questions that the offline librarian answers: by itself, or in the place of a server that is down."""

import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.patience import patiently
from kjxlkj.jobs.slots import slot
from librarian.exchanges import STORE_SECONDS, next_attempt, sources_json
from librarian.models import Exchange
from librarian.plan import Plan
from librarian.providers import OFFLINE, offline
from librarian.questions import Question


def answer_offline(question: Question, plan: Plan, lease: Lease) -> None:
    """Have `question` answered, store that, and read it."""
    run, began = question.run, time.monotonic()
    with _provider_slot(lease):
        answer = offline.answer(run.workspace_id, question.request_id, plan, question.bundle.sources)
    exchange = Exchange(
        run=run,
        stage=question.stage,
        index=question.index,
        provider_kind=OFFLINE,
        model=offline.MODEL,
        sources=sources_json(question.bundle),
        prompt=answer.prompt,
        response=answer.response,
        latency_ms=round((time.monotonic() - began) * 1000),
        answered_at=timezone.now(),
    )
    patiently(partial(_store, exchange, lease), STORE_SECONDS)
    question.hear(exchange)


def _store(exchange: Exchange, lease: Lease) -> None:
    """Before anything is done with it; once, however often tried."""
    with transaction.atomic():
        lease.guard()
        if not Exchange.objects.filter(pk=exchange.pk).exists():
            exchange.attempt = next_attempt(exchange)
            exchange.save(force_insert=True)


def _provider_slot(lease: Lease) -> AbstractContextManager[None]:
    """Raises Postponed where all are taken. Answers are stored one by one: a run that comes back asks none again."""
    most = settings.PROVIDER_SLOTS.get(OFFLINE)
    return slot(lease, f"provider {OFFLINE}", most) if most else nullcontext()
