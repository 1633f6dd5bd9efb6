"""The statements that move a job: one statement each, in database time, conditional on what it expects to find.

They return the rows they moved. Whoever gets none was too late, and walks away.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from kjxlkj.jobs.models import Job, JobStatus

J = TypeVar("J", bound=Job)

# Of whoever holds the row: a host that is cut off in the middle of its transaction keeps the lock for as long as the
# server takes it for alive, and nobody could take the job over. Once its lease is over, so is its transaction.
_BOUNDED = "set_config('idle_in_transaction_session_timeout', %(bound)s, true) <> ''"
_NO_LEASE = "lease_token = NULL, lease_owner = '', lease_expires_at = NULL"
_PROGRESS = "progress_done = %(done)s, progress_total = %(total)s, progress_label = %(label)s"


_LOST = (
    "Worker %s ended, or its host is gone, in the middle of this job: killed, out of memory, or brought down by the "
    "work itself. It was last heard of %s s after it began."
)


class Refund(Enum):
    """Whether an attempt counts that was cut off: the SQL of how many are given back."""

    NONE = "0"
    # It was not the job's fault.
    FULL = "1"
    # Hardly the job's fault: but one that brings the database down each time has to end, too.
    INTERRUPTED = "(interruptions < 20)::int"


@dataclass(frozen=True, slots=True)
class Progress:
    done: int = 0
    total: int | None = None
    label: str = ""


def renewal_seconds() -> float:
    """How often a lease is renewed: six times in its life, and as often as tells a busy cluster from a stalled one."""
    return float(min(settings.JOB_LEASE_SECONDS / 6, settings.JOB_STALL_SECONDS / 2))


def cluster_name() -> str:
    """Of the cluster that this process belongs to: given by its supervisor, else by what forked it and its like."""
    return os.environ.get("KJXLKJ_CLUSTER") or f"{socket.gethostname()[:60]}:{os.getppid()}"


@cache
def _sql(model: type[Job], statement: str) -> str:
    """Our own table names and the constants of this module are all that is ever put into the text."""
    return statement.replace("{table}", connection.ops.quote_name(model._meta.db_table))


def _move(model: type[J], statement: str, **parameters: Any) -> list[J]:
    """The rows that `statement` changes, as they are then.

    Made as `raw()` makes them, which takes as long for it as PostgreSQL for the whole statement.
    """
    columns, names, converters = _shape(model)
    with connection.cursor() as cursor:
        cursor.execute(f"{_sql(model, statement)} RETURNING {columns}", parameters | _bound())
        rows = [list(row) for row in cursor.fetchall()]
    for row in rows:
        for place, convert in converters:
            row[place] = convert(row[place], None, connection)
    return [model.from_db(connection.alias, names, row) for row in rows]


@cache
def _shape(model: type[Job]) -> tuple[str, list[str], list[tuple[int, Callable[..., Any]]]]:
    """The columns of a row, the names of its attributes, and what makes their values of PostgreSQL's (JSON is text)."""
    fields: tuple[Any, ...] = model._meta.concrete_fields
    return (
        ", ".join(connection.ops.quote_name(field.column) for field in fields),
        [field.attname for field in fields],
        [(place, convert) for place, field in enumerate(fields) for convert in field.get_db_converters(connection)],
    )


def _bound() -> dict[str, str]:
    return {"bound": f"{settings.JOB_LEASE_SECONDS * 1000:.0f}"}


_CLAIM = f"""
    UPDATE {{table}} SET
        status = 'running', attempts = attempts + 1, started_at = clock_timestamp(),
        lease_token = %(token)s, lease_owner = %(owner)s, lease_expires_at = clock_timestamp() + %(lease)s,
        message_id = NULL, not_before = NULL, error_detail = '',
        error_code = CASE error_code WHEN 'POSTPONED' THEN error_code ELSE '' END,
        progress_done = 0, progress_total = NULL, progress_label = '', updated_at = clock_timestamp()
    WHERE id = %(pk)s AND attempts < max_attempts AND NOT cancel_requested AND {_BOUNDED} AND """  # noqa: S608
_DUE = "status = 'queued' AND coalesce(not_before <= clock_timestamp(), true)"
_FALLEN_SILENT = "status = 'running' AND lease_expires_at <= clock_timestamp()"


def claim(model: type[J], pk: UUID, token: UUID) -> tuple[J, str] | None:
    """Take a due job, or one whose holder has fallen silent; with the status it had before.

    The attempt is counted here and not at the end, so that a job that kills its worker runs out of them too.
    """
    # Two statements, for hardly ever is there need of the second, and the first is planned in half the time.
    for previous, which in ((JobStatus.QUEUED, _DUE), (JobStatus.RUNNING, _FALLEN_SILENT)):
        rows = _move(
            model,
            _CLAIM + which,
            pk=pk,
            token=token,
            owner=f"{cluster_name()}/{os.getpid()}",
            lease=timedelta(seconds=settings.JOB_LEASE_SECONDS),
        )
        if rows:
            return rows[0], previous
    return None


def renew(model: type[Job], pk: UUID, token: UUID, progress: Progress) -> bool | None:
    """Prolong the lease and show the progress. Returns whether a cancel was asked for; None: the lease is lost."""
    statement = f"""
        UPDATE {{table}} SET lease_expires_at = clock_timestamp() + %(lease)s, {_PROGRESS},
            updated_at = clock_timestamp()
        WHERE id = %(pk)s AND lease_token = %(token)s
        RETURNING cancel_requested"""  # noqa: S608 - see _sql
    parameters: dict[str, Any] = {
        "pk": pk,
        "token": token,
        "lease": timedelta(seconds=settings.JOB_LEASE_SECONDS),
        "done": progress.done,
        "total": progress.total,
        "label": progress.label,
    }
    return _cancel_requested(model, statement, parameters)


def _cancel_requested(model: type[Job], statement: str, parameters: dict[str, Any]) -> bool | None:
    with connection.cursor() as cursor:
        cursor.execute(_sql(model, statement), parameters)
        row = cursor.fetchone()
    return None if row is None else bool(row[0])


def hold(model: type[Job], pk: UUID, token: UUID) -> bool | None:
    """Lock the row for the rest of this transaction, so that nobody can take the job over. Returns as `renew`."""
    statement = f"""
        SELECT cancel_requested FROM {{table}} WHERE id = %(pk)s AND lease_token = %(token)s AND {_BOUNDED}
        FOR NO KEY UPDATE"""  # noqa: S608 - see _sql
    return _cancel_requested(model, statement, {"pk": pk, "token": token, **_bound()})


def look(model: type[Job], pk: UUID, token: UUID) -> bool | None:
    """As `renew`, without renewing."""
    statement = "SELECT cancel_requested FROM {table} WHERE id = %(pk)s AND lease_token = %(token)s"
    return _cancel_requested(model, statement, {"pk": pk, "token": token})


def succeed(job: Job, token: UUID, progress: Progress) -> bool:
    """The transition is made on `job` too, which is told of then. False: the lease was lost."""
    statement = f"""
        UPDATE {{table}} SET status = 'succeeded', finished_at = clock_timestamp(), {_NO_LEASE}, {_PROGRESS},
            error_code = '', error_detail = '', updated_at = clock_timestamp()
        WHERE id = %(pk)s AND lease_token = %(token)s AND {_BOUNDED}
        RETURNING finished_at, updated_at"""  # noqa: S608 - see _sql
    parameters = {
        "pk": job.pk,
        "token": token,
        "done": progress.done,
        "total": progress.total,
        "label": progress.label,
        **_bound(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_sql(type(job), statement), parameters)
        row = cursor.fetchone()
    if row is None:
        return False
    job.finished_at, job.updated_at = row
    job.status, job.error_code, job.error_detail = JobStatus.SUCCEEDED, "", ""
    job.lease_token, job.lease_owner, job.lease_expires_at = None, "", None
    job.progress_done, job.progress_total, job.progress_label = progress.done, progress.total, progress.label
    return True


_FAIL = f"""
    UPDATE {{table}} SET status = 'failed', error_code = %(code)s, error_detail = coalesce(%(detail)s, error_detail),
        finished_at = clock_timestamp(), not_before = NULL, message_id = NULL, {_NO_LEASE},
        updated_at = clock_timestamp()
    WHERE id = %(pk)s AND """  # noqa: S608 - see _sql


def fail(model: type[J], pk: UUID, token: UUID, code: str, detail: str | None) -> list[J]:
    """`detail` None: what was kept for this."""
    return _move(
        model,
        _FAIL + f"lease_token = %(token)s AND {_BOUNDED}",
        pk=pk,
        token=token,
        code=code,
        detail=detail,
    )


def fail_queued(model: type[J], pk: UUID, code: str, detail: str) -> list[J]:
    return _move(model, _FAIL + "status = 'queued'", pk=pk, code=code, detail=detail)


def give_back(
    model: type[J],
    which: str,
    *,
    code: str,
    detail: str,
    delay: float = 0.0,
    refund: Refund = Refund.NONE,
    **parameters: Any,
) -> list[J]:
    """Running jobs go back to the queue; those without an attempt left, or to be cancelled, fail instead.

    `which` is the SQL condition that picks them, `parameters` its values, `delay` the seconds to wait.
    Rows locked by somebody (who is then alive and finishing them) are left alone.
    """
    return _give_back(
        model, which, "%(code)s", "%(detail)s", refund, code=code, detail=detail, delay=delay, **parameters
    )


def lose(model: type[J], which: str, note: str, **parameters: Any) -> list[J]:
    """As `give_back`, for jobs whose workers have fallen silent, with what is known about why. `note` is added to it.

    A worker that was alive until its job's time was over has been stopped for that by django-q2.
    """
    heard_of = "lease_expires_at - %(lease)s - started_at"
    code = f"CASE WHEN {heard_of} >= %(time_limit)s THEN 'JOB_TIMEOUT' ELSE 'WORKER_LOST' END"
    detail = f"format(%(detail)s, lease_owner, round(extract(epoch FROM {heard_of})))"
    return _give_back(
        model,
        which,
        code,
        detail,
        Refund.NONE,
        detail=f"{_LOST} {note}".strip(),
        lease=timedelta(seconds=settings.JOB_LEASE_SECONDS),
        # It renews its lease now and then only, and so was heard of a little before the end.
        time_limit=timedelta(seconds=settings.JOB_TIMEOUT_SECONDS - renewal_seconds()),
        delay=0.0,
        **parameters,
    )


def _give_back(
    model: type[J], which: str, code_sql: str, detail_sql: str, refund: Refund, *, delay: float, **parameters: Any
) -> list[J]:
    """`which`, `code_sql` and `detail_sql` are written in this room, never anybody's input."""
    ends = f"(cancel_requested OR attempts - {refund.value} >= max_attempts)"
    return _move(
        model,
        f"""
        UPDATE {{table}} SET
            status = CASE WHEN {ends} THEN 'failed' ELSE 'queued' END,
            finished_at = CASE WHEN {ends} THEN clock_timestamp() END,
            not_before = CASE WHEN NOT {ends} THEN clock_timestamp() + %(delay)s END,
            attempts = attempts - {refund.value},
            interruptions = interruptions + {refund.value if refund is Refund.INTERRUPTED else 0},
            error_code = CASE WHEN cancel_requested THEN 'CANCELLED' ELSE {code_sql} END,
            error_detail = CASE WHEN cancel_requested THEN error_detail ELSE {detail_sql} END,
            {_NO_LEASE}, message_id = NULL, updated_at = clock_timestamp()
        WHERE id IN (SELECT id FROM {{table}} WHERE status = 'running' AND {which} FOR NO KEY UPDATE SKIP LOCKED)""",  # noqa: S608 - see _sql
        delay=timedelta(seconds=delay),
        **parameters,
    )


def request_cancel(model: type[Job], pk: UUID, detail: str) -> None:
    """`detail` is kept for the end, which the job's worker writes."""
    running = model._base_manager.filter(pk=pk, status=JobStatus.RUNNING)
    running.update(cancel_requested=True, error_detail=detail, updated_at=Now())
