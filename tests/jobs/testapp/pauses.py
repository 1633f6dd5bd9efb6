"""Where an errand waits for as long as a test holds the lock of that moment."""

import os

from django.db import connection

from tests.jobs.testapp.models import Errand, Moment

# First key of the advisory locks; the second is the moment.
HOLD = 0x4A4F4253


def pause(errand: Errand, moment: Moment) -> None:
    if errand.pause_at != moment:
        return
    with connection.cursor() as cursor:
        # Seen by others before anything is committed: who it is that waits.
        cursor.execute("SELECT set_config('application_name', %s, false)", [str(os.getpid())])
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [HOLD, number_of(moment)])


def number_of(moment: Moment) -> int:
    return list(Moment).index(moment)
