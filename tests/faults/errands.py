"""Errands for a database that comes and goes, and whether they ended as they should."""

from collections import Counter
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Now
from django_q.models import OrmQ

from kjxlkj.ids import new_id
from kjxlkj.jobs.models import TRANSITIONS, Canary
from tests.faults.installation import insist, wait_until
from tests.faults.running import Running
from tests.jobs.conftest import add_errand, history
from tests.jobs.testapp.models import Errand

# A job whose holder has fallen silent may be claimed before the sweep gives it back.
_LEGAL = {f"{before.value}>{after.value}" for before, after in TRANSITIONS} | {"running>running"}


def add(script: str, argument: object = "", *, pk: UUID | None = None, **fields: Any) -> Errand:
    """Once, however often the connection is lost: also when it was lost after the commit."""
    pk = pk or new_id()
    fields.setdefault("max_attempts", 20)
    return insist(lambda: Errand.objects.filter(pk=pk).first() or add_errand(script, argument, id=pk, **fields))


def wait_until_ended(errands: Sequence[Errand], seconds: float) -> bool:
    """Pauses between attempts are cut short: they are there for the sake of others' services."""

    def ended() -> bool:
        mine = Errand.objects.unfinished().filter(pk__in=[errand.pk for errand in errands])
        mine.filter(status="queued", not_before__gt=Now()).update(not_before=None)
        return not mine.exists()

    return wait_until(ended, seconds)


def wait_until_well(seconds: float) -> bool:
    """Until a canary that is asked from now on has been answered, and the answer acknowledged."""
    now = insist(_now)
    message = OrmQ.objects.filter(pk=OuterRef("message_id"))
    well = Canary.objects.filter(~Exists(message), answered_at__gte=F("asked_at"))
    return wait_until(lambda: well.filter(asked_at__gt=now).exists(), seconds)


def _now() -> datetime:
    """The database's, which is all that canaries know."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
        return now


def faults_of(errand: Errand, *, may_fail_with: Container[str] = ()) -> list[str]:
    """What is wrong with an errand that should have ended, and well."""
    found = []
    counts = Counter(errand.effects.values_list("source", flat=True))
    if errand.status == "succeeded":
        if counts != dict.fromkeys(range(errand.sources), 1):
            found.append(f"effects of its {errand.sources} sources: {dict(counts)}")
    elif errand.status != "failed":
        found.append(f"has not ended: {errand.status}, attempt {errand.attempts}, {errand.error_code}")
    else:
        if errand.error_code not in may_fail_with:
            found.append(f"failed: {errand.error_code} {errand.error_detail}")
        # Effects that belong to its success are there with it or not at all; steps remain, once each.
        if any(count > (errand.script == "stepwise") for count in counts.values()):
            found.append(f"effects of a failure: {dict(counts)}")
    return found + _faults_of_history(history(errand))


def _faults_of_history(steps: Sequence[str]) -> list[str]:
    found = []
    status = ""
    for step in steps:
        before, _, after = step.partition(">")
        if before != status or (before and step not in _LEGAL):
            found.append(f"{step} after {status or 'nothing'}")
        status = after
    if status not in {"succeeded", "failed"}:
        found.append(f"the last announcement is {status or 'missing'}")
    return found


def report(errand: Errand, found: Sequence[str], hosts: Sequence[Running]) -> str:
    lines = [line for host in hosts for line in host.told().splitlines() if str(errand.pk) in line]
    return "\n  ".join(
        [
            f"VIOLATION errand {errand.pk} {errand.script} {errand.argument} ({errand.status}): {'; '.join(found)}",
            f"history: {' '.join(history(errand))}",
            *lines,
        ]
    )
