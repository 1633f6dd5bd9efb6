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
    number = _take(lease, resource, most)
    if number is None:
        raise Postponed(f"All {most} slots of {resource} are taken.", delay=uniform(*_COME_BACK_SECONDS))  # noqa: S311
    try:
        yield
    finally:
        # Where that fails, the end of the lease frees it: what came of its use must not be lost for it.
        with suppress(DatabaseError, InterfaceError):
            Slot.objects.filter(pk=number).delete()


def _take(lease: Lease, resource: str, most: int) -> int | None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Counting and taking are one step, whoever else is at it: on whatever host, until the commit.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"kjxlkj slot {resource}"])
        lease.guard()
        taken = Slot.objects.filter(resource=resource)
        taken.exclude(_held_by_live_leases()).delete()
        if taken.count() >= most:
            return None
        return Slot.objects.create(resource=resource, lease_token=lease.token).pk


def _held_by_live_leases() -> Q:
    held = Q(pk__in=[])
    for kind in kinds():
        held |= Q(lease_token__in=JobQuerySet(kind.model).live().values("lease_token"))
    return held
