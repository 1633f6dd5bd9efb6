"""Locks of the database that tell errands and tests of one another, whatever is committed and when."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from tests.jobs.testapp.models import Errand, Moment

# First key of the advisory locks; the second is the moment.
HOLD = 0x4A4F4253
_SHARED = 0x534C4F54


def pause(errand: Errand, moment: Moment) -> None:
    """Wait here, if this is the errand's moment, for as long as a test holds its lock (`tests.faults.gate`)."""
    if errand.pause_at != moment:
        return
    with connection.cursor() as cursor:
        # Seen by others before anything is committed: who it is that waits.
        cursor.execute("SELECT set_config('application_name', %s, false)", [str(os.getpid())])
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [HOLD, number_of(moment)])


def number_of(moment: Moment) -> int:
    return list(Moment).index(moment)


@contextmanager
def held() -> Iterator[Callable[[], int]]:
    """Yields what counts how many are inside at this instant, on all hosts."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s, 0)", [_SHARED])
        try:
            yield _count
        finally:
            cursor.execute("SELECT pg_advisory_unlock_shared(%s, 0)", [_SHARED])


def _count() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s", [_SHARED])
        return int(cursor.fetchone()[0])
