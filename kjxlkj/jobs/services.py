"""What apps and workers do with jobs: enqueue, execute, cancel. (The supervisor's part: `recovery`.)"""

import logging
import random
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django_q.exceptions import TimeoutException

from kjxlkj.errors import Conflict, DomainError
from kjxlkj.jobs import messages, transitions
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.models import POSTPONED, Job, JobStatus
from kjxlkj.jobs.outcomes import Cancelled, Incomplete, LeaseLost, Postponed, Retry
from kjxlkj.jobs.patience import patiently
from kjxlkj.jobs.registry import Effects, JobKind, kind_of
from kjxlkj.jobs.transitions import Refund
from kjxlkj.request_id import set_request_id

logger = logging.getLogger(__name__)

BACKOFF_FIRST_SECONDS = 5.0
BACKOFF_MOST_SECONDS = 600.0
_TRACEBACK_LINES = 20
# How long a worker waits for a database that is away. A claim that is not made is the sweep's to see to; an outcome
# that is not recorded costs the job a lease's time and an attempt, and without its database the worker has no more
# useful thing to do.
_CLAIM_SECONDS = 30.0
_OUTCOME_SECONDS = 600.0


def enqueue(job: Job) -> None:
    """Make a worker run `job`, a row inserted in this transaction. It commits with the row or not at all."""
    enqueue_many([job])


def enqueue_many(jobs: Sequence[Job]) -> None:
    """As `enqueue`, for jobs of one model: one statement, however many (and what their app's `announce` does)."""
    if not connection.in_atomic_block:
        raise RuntimeError("enqueue() belongs into the transaction that inserts the job: use atomic().")
    if not jobs:
        return
    kind = kind_of(jobs[0]._meta.label_lower)
    messages.post(kind.model, jobs)
    announce(kind, jobs, None)


def announce(kind: JobKind[Any], jobs: Sequence[Job], previous: str | None) -> None:
    """Tell the app of these jobs, within the transaction, and the log once it has committed.

    A job that comes again and again to see whether something is free is no news to the app.
    """
    news = [job for job in jobs if job.is_finished or job.error_code != POSTPONED]
    if news:
        kind.announce(news, previous)
    if jobs:
        transaction.on_commit(partial(_log, jobs, previous))


def _log(jobs: Sequence[Job], previous: str | None) -> None:
    for job in jobs:
        logger.info(
            "job %s %s: %s -> %s",
            job._meta.label_lower,
            job.pk,
            previous or "new",
            job.status,
            extra={
                "job": job._meta.label_lower,
                "job_id": str(job.pk),
                "attempt": job.attempts,
                "previous": previous,
                "status": job.status,
                "request_id": job.request_id,
                "duration": _seconds_of_attempt(job) if previous == JobStatus.RUNNING else None,
                "code": job.error_code,
            },
        )


def _seconds_of_attempt(job: Job) -> float | None:
    return (job.updated_at - job.started_at).total_seconds() if job.started_at else None


def execute(label: str, job_id: UUID) -> None:
    """Run a job if it is there to be run. A message delivered twice, late or for no row does nothing."""
    kind = kind_of(label)
    lease = patiently(partial(_claim, kind, job_id, uuid4()), _CLAIM_SECONDS)
    if lease is None:
        return
    set_request_id(lease.job.request_id)
    try:
        _run(kind, lease)
    except (OperationalError, InterfaceError) as error:
        # The database stayed away while the outcome was to be recorded. Nothing was committed: the lease
        # runs out, and the sweep gives the job back.
        logger.warning("job %s: its outcome could not be recorded: %s", job_id, error)
    finally:
        set_request_id("")


def _claim(kind: JobKind[Any], job_id: UUID, token: UUID) -> Lease | None:
    claimed_at = monotonic()
    with transaction.atomic(durable=True):
        claimed = transitions.claim(kind.model, job_id, token)
        if claimed is None:
            # Ours, if it was committed before and the answer was lost with the connection.
            job = kind.model._base_manager.filter(pk=job_id, lease_token=token).first()
            return Lease(job, token, claimed_at=claimed_at) if job else None
        job, previous = claimed
        announce(kind, [job], previous)
    return Lease(job, token, claimed_at=claimed_at)


@dataclass(frozen=True, slots=True)
class _Again:
    """How an attempt that failed is to be followed by another."""

    code: str
    detail: str
    delay: float
    refund: Refund = Refund.NONE


# Faults that may pass; `_again` tells how each is dealt with.
_MAY_PASS = (LeaseLost, Postponed, Retry, OperationalError, InterfaceError, MemoryError, ImportError)


def _run(kind: JobKind[Any], lease: Lease) -> None:
    try:
        with lease:
            effects = kind.work(lease.job, lease)
            lease.check()
        _succeed(kind, lease, effects)
    except Cancelled:
        _fail(kind, lease, "CANCELLED", None)
    except Incomplete as error:
        _fail(kind, lease, error.code, error.detail, error.effects)
    except _MAY_PASS as error:
        _give_back(kind, lease, _again(error, lease.job))
    except DomainError as error:
        _fail(kind, lease, error.code, error.message)
    except TimeoutException as error:
        # A SystemExit of django-q's, by which it ends the worker: not ours to keep.
        _give_back(kind, lease, _Again("JOB_TIMEOUT", str(error), backoff(lease.job)))
        raise
    except Exception as error:
        # Broad, and here alone: the last place where a fault of whatever kind can become a row that tells of it.
        logger.exception("job %s: unexpected error", lease.job.pk)
        _fail(kind, lease, "INTERNAL_ERROR", _last_lines(error))


def _again(error: Exception, job: Job) -> _Again:
    match error:
        case Postponed():
            return _Again(POSTPONED, error.detail, error.delay, Refund.FULL)
        case Retry():
            return _Again(error.code, error.detail, max(error.delay, backoff(job)))
        case LeaseLost():
            # Where it was lost to somebody else, nothing is ours to give back, and nothing happens.
            return _Again("LEASE_LOST", "The lease could not be renewed in time.", backoff(job), Refund.INTERRUPTED)
        case MemoryError():
            detail = f"It needed more than {settings.JOB_MEMORY_MB:,} MB of memory. {_last_lines(error)}"
            # What it filled the memory with is held by the frames of its traceback.
            traceback.clear_frames(error.__traceback__)
            return _Again("JOB_OUT_OF_MEMORY", detail, backoff(job))
        case ImportError():
            # An upgrade may be half done.
            return _Again("JOB_IMPORT_FAILED", _last_lines(error), backoff(job))
        case _:
            return _Again("DATABASE_UNAVAILABLE", str(error), backoff(job), Refund.INTERRUPTED)


def backoff(job: Job) -> float:
    """Seconds to wait after a failed attempt: doubling, bounded, spread so that jobs do not return at once."""
    spread = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
    failures = job.attempts + job.interruptions
    return min(BACKOFF_MOST_SECONDS, BACKOFF_FIRST_SECONDS * 2.0 ** (failures - 1)) * spread


def _last_lines(error: Exception) -> str:
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines[-_TRACEBACK_LINES:])


def _succeed(kind: JobKind[Any], lease: Lease, effects: Effects | None) -> None:
    with transaction.atomic(durable=True):
        # First the guarded update: it refuses a lost lease before any effect, and locks the row until the commit.
        if not transitions.succeed(lease.job, lease.token, lease.reported):
            raise LeaseLost
        if effects is not None:
            effects()
        announce(kind, [lease.job], JobStatus.RUNNING)


def _fail(kind: JobKind[Any], lease: Lease, code: str, detail: str | None, effects: Effects | None = None) -> None:
    def record() -> None:
        with transaction.atomic(durable=True):
            failed = transitions.fail(kind.model, lease.job.pk, lease.token, code, detail)
            if failed and effects is not None:
                effects()
            announce(kind, failed, JobStatus.RUNNING)

    patiently(record, _OUTCOME_SECONDS)


def _give_back(kind: JobKind[Any], lease: Lease, again: _Again) -> None:
    def record() -> None:
        with transaction.atomic(durable=True):
            rows = transitions.give_back(
                kind.model,
                "id = %(pk)s AND lease_token = %(token)s",
                code=again.code,
                detail=again.detail,
                delay=again.delay,
                refund=again.refund,
                pk=lease.job.pk,
                token=lease.token,
            )
            after_give_back(kind, rows)

    patiently(record, _OUTCOME_SECONDS)


def after_give_back(kind: JobKind[Any], jobs: Sequence[Job]) -> None:
    """Wake workers for those that are queued again, and announce them all."""
    messages.post(kind.model, [job for job in jobs if job.status == JobStatus.QUEUED])
    announce(kind, jobs, JobStatus.RUNNING)


def refuse(job: Job, code: str, detail: str) -> None:
    """End `job`, a row inserted in this transaction, before it begins."""
    kind = kind_of(job._meta.label_lower)
    announce(kind, transitions.fail_queued(kind.model, job.pk, code, detail), JobStatus.QUEUED)


def cancel(job: Job, *, detail: str = "") -> None:
    """A queued job fails at once with CANCELLED; a running one does when its worker next looks.

    Raises Conflict when the job is finished already.
    """
    kind = kind_of(job._meta.label_lower)
    with transaction.atomic():
        current = kind.model._base_manager.select_for_update(no_key=True).get(pk=job.pk)
        if current.status == JobStatus.QUEUED:
            cancelled = transitions.fail_queued(kind.model, job.pk, "CANCELLED", detail)
            announce(kind, cancelled, JobStatus.QUEUED)
        elif current.status == JobStatus.RUNNING:
            transitions.request_cancel(kind.model, job.pk, detail)
        else:
            raise Conflict("JOB_FINISHED", "This job is finished: there is nothing left to cancel.")
