"""Transactions that end with their host."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection, transaction


@contextmanager
def bounded_transaction() -> Iterator[None]:
    """For whoever holds what others need, and hands it on by itself: a sweep, a schedule.

    The server takes a host that is cut off in the middle for alive, for hours, and keeps its locks so long. Here it
    gives it up after the life of a lease.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            bound = f"{settings.JOB_LEASE_SECONDS * 1000:.0f}"
            cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, true)", [bound])
        yield
