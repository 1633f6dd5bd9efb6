"""Queue messages: wake-up calls, written in the transaction that writes what they are about.

A message is a row of django-q2's own queue table, so its admin and its workers understand it.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from kjxlkj.ids import new_id
from kjxlkj.jobs.models import DEFAULT_QUEUE, Job

_LONGEST_CHANNEL = 63


def channel(queue: str) -> str:
    """The PostgreSQL channel on which the arrival of messages in `queue` is told.

    Its name may have 63 bytes. The queue of a canary bears its host's name, and can be longer.
    """
    name = f"kjxlkj:{queue}"
    return name if len(name.encode()) <= _LONGEST_CHANNEL else f"kjxlkj:{sha256(queue.encode()).hexdigest()[:32]}"


def post(model: type[Job], jobs: Sequence[Job]) -> None:
    """One message for each job, to be delivered when it is due. The row remembers which message will wake it.

    One statement, however many jobs: the numbers of the messages are drawn first, so that both tables are
    written from one list. It tells the listeners too, once it commits.
    """
    if not jobs:
        return
    table = connection.ops.quote_name(model._meta.db_table)
    label = model._meta.label_lower
    statement = f"""
        WITH wake AS MATERIALIZED (
            SELECT job_id, payload, nextval(pg_get_serial_sequence('django_q_ormq', 'id')) AS number
            FROM unnest(%s::uuid[], %s::text[]) AS given (job_id, payload)
        ), posted AS (
            INSERT INTO django_q_ormq (id, key, payload, lock)
            SELECT wake.number, CASE WHEN job.queue = ANY(%s) THEN job.queue ELSE %s END, wake.payload,
                   greatest(job.not_before, clock_timestamp())
            FROM wake JOIN {table} AS job ON job.id = wake.job_id
            RETURNING key
        ), remembered AS (
            UPDATE {table} AS job SET message_id = wake.number FROM wake WHERE job.id = wake.job_id
        )
        SELECT pg_notify(%s || key, '') FROM posted GROUP BY key"""  # noqa: S608 - the name of one of our tables
    parameters: list[Any] = [
        [job.pk for job in jobs],
        [package("kjxlkj.jobs.tasks.execute", label, job.pk) for job in jobs],
        list(settings.JOB_QUEUES),
        DEFAULT_QUEUE,
        channel(""),
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def package(function: str, *arguments: Any) -> str:
    """What django-q2's `async_task` would have put into the queue for this call."""
    # Signed with settings.SECRET_KEY on import: not before the settings are there.
    from django_q.signing import SignedPackage

    task = {
        "id": new_id().hex,
        "name": f"{function.rpartition('.')[2]} {arguments[-1]}",
        "func": function,
        "args": tuple(str(argument) if isinstance(argument, UUID) else argument for argument in arguments),
        "kwargs": {},
        "started": timezone.now(),
        "ack_failure": True,
    }
    signed: str = SignedPackage.dumps(task)
    return signed


def post_to(queue: str, function: str, *arguments: Any) -> int:
    """One message that is about no job. Returns its number."""
    return put(queue, package(function, *arguments))


def put(queue: str, payload: str) -> int:
    """One message, to be delivered at once. Returns its number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH posted AS (INSERT INTO django_q_ormq (key, payload, lock)"
            " VALUES (%s, %s, clock_timestamp()) RETURNING id)"
            " SELECT id, pg_notify(%s, '') FROM posted",
            [queue, payload, channel(queue)],
        )
        return int(cursor.fetchone()[0])
