"""How many may use one thing at the same time, over all hosts."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import uniform

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Q

from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.models import JobQuerySet, Slot
from kjxlkj.jobs.outcomes import Postponed
from kjxlkj.jobs.registry import kinds

# Until a job that found no slot asks again: spread, so that not all of them come at once.
_COME_BACK_SECONDS = (4.0, 12.0)


@contextmanager
def slot(lease: Lease, resource: str, most: int) -> Iterator[None]:
    """Hold one of the `most` slots of `resource`. Raises Postponed if none is free: let it pass, and nobody waits."""
    with slots(lease, resource, most, wanted=1):
        yield


@contextmanager
def slots(lease: Lease, resource: str, most: int, *, wanted: int) -> Iterator[int]:
    """Hold as many of the `most` slots as are free, up to `wanted`; yields how many. Raises Postponed if none is."""
    taken = _take(lease, resource, most, wanted)
    if not taken:
        raise Postponed(f"All {most} slots of {resource} are taken.", delay=uniform(*_COME_BACK_SECONDS))  # noqa: S311
    try:
        yield len(taken)
    finally:
        # Where that fails, the end of the lease frees them: what came of their use must not be lost for it.
        with suppress(DatabaseError, InterfaceError):
            Slot.objects.filter(pk__in=taken).delete()


def _take(lease: Lease, resource: str, most: int, wanted: int) -> list[int]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Counting and taking are one step, whoever else is at it: on whatever host, until the commit.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"kjxlkj slot {resource}"])
        lease.guard()
        taken = Slot.objects.filter(resource=resource)
        taken.exclude(_held_by_live_leases()).delete()
        free = min(wanted, most - taken.count())
        made = [Slot(resource=resource, lease_token=lease.token) for _ in range(free)]
        return [each.pk for each in Slot.objects.bulk_create(made)]


def _held_by_live_leases() -> Q:
    held = Q(pk__in=[])
    for kind in kinds():
        held |= Q(lease_token__in=JobQuerySet(kind.model).live().values("lease_token"))
    return held
