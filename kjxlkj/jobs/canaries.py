"""Signs of life: each cluster is asked a question, again and again, whose answer goes the whole way of a job.

Where each of its workers is at a job, nobody is free to answer: then the renewal of their leases is as good.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, DateTimeField, ExpressionWrapper, Max
from django.db.models.functions import Now
from django_q.models import OrmQ

from kjxlkj.jobs import messages
from kjxlkj.jobs.models import Canary, JobQuerySet
from kjxlkj.jobs.registry import kinds

# Of a cluster that nobody asked for so long, nobody will want to know any more.
_FORGOTTEN_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Leases:
    """The live ones of a cluster."""

    number: int
    renewed_at: datetime
    """The latest renewal of any of them."""


def live_leases() -> dict[str, Leases]:
    """By cluster."""
    found: dict[str, Leases] = {}
    lease = timedelta(seconds=settings.JOB_LEASE_SECONDS)
    renewed_at = ExpressionWrapper(Max("lease_expires_at") - lease, output_field=DateTimeField())
    for kind in kinds():
        held: Any = JobQuerySet(kind.model).live().values_list("lease_owner")
        for owner, number, renewed in held.annotate(number=Count("pk"), renewed=renewed_at):
            cluster = owner.rpartition("/")[0]
            known = found.get(cluster, Leases(0, renewed))
            found[cluster] = Leases(known.number + number, max(known.renewed_at, renewed))
    return found


def ask(cluster: str, queue: str, workers: int) -> None:
    """Note what signs of life `cluster` has given, and ask it, unless an earlier question is still on its way."""
    leases = live_leases().get(cluster)
    with transaction.atomic():
        Canary.objects.get_or_create(cluster=cluster, defaults={"queue": queue, "workers": workers})
        canary = Canary.objects.select_for_update(no_key=True).annotate(now=Now()).get(pk=cluster)
        whole = _is_answered(canary)
        signs = [canary.well_at, canary.answered_at if whole else None]
        if leases is not None and leases.number >= workers:
            signs.append(leases.renewed_at)
        changes: dict[str, Any] = {"well_at": max(filter(None, signs), default=None)}
        if whole or _is_overdue(canary):
            OrmQ.objects.filter(key=cluster).delete()
            number = messages.post_to(cluster, "kjxlkj.jobs.tasks.answer_canary", cluster)
            changes |= {"message_id": number, "asked_at": Now()}
        Canary.objects.filter(pk=cluster).update(**changes)


def _is_answered(canary: Canary) -> bool:
    """The answer is there, and was acknowledged: a monitor that hangs would lose what jobs leave."""
    if canary.asked_at is None or canary.answered_at is None or canary.answered_at < canary.asked_at:
        return False
    return not OrmQ.objects.filter(pk=canary.message_id).exists()


def _is_overdue(canary: Any) -> bool:
    """Who took the question may have died with it, and others may be well: they are asked another."""
    patience = timedelta(seconds=0.4 * settings.JOB_STALL_SECONDS)
    return canary.asked_at is None or canary.now - canary.asked_at > patience


def answer(cluster: str) -> None:
    Canary.objects.filter(pk=cluster).update(answered_at=Now())


def forget(clusters: Sequence[str]) -> None:
    """These clusters are no more: neither are their canaries, nor the queues on which they were asked."""
    OrmQ.objects.filter(key__in=clusters).delete()
    Canary.objects.filter(pk__in=clusters).delete()


def forget_the_gone() -> None:
    gone = list(Canary.objects.filter(asked_at__lt=Now() - _FORGOTTEN_AFTER).values_list("pk", flat=True))
    if gone:
        forget(gone)
