"""Artifacts that are kept no longer: the oldest of each kind, workspace and condition, by number and by age.

Never the last one of its kind, and never the last backup that was restored to check it and found well: a series of
backups that do not come back takes away nothing that does.
"""

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import BooleanField, Case, F, Q, QuerySet, Value, When, Window
from django.db.models.functions import Now, RowNumber

from exports.artifacts import clear, clear_orphans, deleting, mark_deleted
from exports.models import ExportJob, ExportKind
from kjxlkj.jobs.models import FINISHED, JobStatus
from kjxlkj.storing import StorageFault

logger = logging.getLogger(__name__)

_AT_ONCE = 100
_THREAD = "tidying exports"
_WELL = Q(verified_at__isnull=False, verification_json__ok=True)
_LAST = Q(place=1) | Q(is_well=True, place_by_wellness=1)


def tidy() -> None:
    """The chore, on a thread of its own: a storage that is far away or does not answer keeps no sweep waiting."""
    if not any(thread.name == _THREAD for thread in threading.enumerate()):
        threading.Thread(target=_tidy, name=_THREAD, daemon=True).start()


def _tidy() -> None:
    try:
        keep_to_limits()
        clear_orphans()
    except (StorageFault, OSError, DatabaseError, InterfaceError) as fault:
        logger.warning("exports cannot be tidied, until the next try: %s", fault)
    finally:
        connection.close()


def keep_to_limits() -> int:
    """Delete what is beyond the limits, and note of the rest until when it is kept. Returns how many were deleted.

    Killed half-way, it has marked what is deleted: `clear_orphans` deletes what it left in the storage.
    """
    deleted = 0
    while jobs := _mark():
        for job in jobs:
            clear(job)
        deleted += len(jobs)
    return deleted


def is_last(job: ExportJob) -> bool:
    """Whether there is no newer one of its kind, workspace and condition."""
    return ExportJob.objects.filter(pk__in=_placed(place=1), pk=job.pk).exists()


def is_last_well(job: ExportJob) -> bool:
    """Whether it is the last backup that is known to come back."""
    return ExportJob.objects.filter(pk__in=_placed(is_well=True, place_by_wellness=1), pk=job.pk).exists()


def _mark() -> list[ExportJob]:
    with deleting():
        for kind, _, days in _limits():
            _note_expiry(kind, days)
        beyond = list(_beyond().values_list("pk", flat=True)[:_AT_ONCE])
        # Locked by a statement of their own: rows of windows cannot be.
        jobs = list(ExportJob.objects.filter(pk__in=beyond).select_for_update(no_key=True))
        for job in jobs:
            mark_deleted(job, actor=None, via="retention")
    return jobs


def _limits() -> Iterator[tuple[str, int, int]]:
    """The number and the days of each kind; 0: no such limit."""
    yield ExportKind.SQL, settings.KEEP_BACKUPS, settings.KEEP_BACKUPS_DAYS
    yield ExportKind.MARKDOWN, settings.KEEP_ARCHIVES, settings.KEEP_ARCHIVES_DAYS


def _beyond() -> QuerySet[Any]:
    over = Q(pk__in=[])
    for kind, number, days in _limits():
        if number:
            over |= Q(pk__in=_placed(kind=kind, place__gt=number))
        if days:
            over |= Q(kind=kind, finished_at__lt=Now() - timedelta(days=days))
    in_use = ExportJob.objects.filter(subject__isnull=False).exclude(status__in=FINISHED).values("subject_id")
    beyond = _there().filter(over).exclude(pk__in=in_use).exclude(pk__in=_placed(_LAST))
    return beyond.order_by("finished_at", "id")


def _note_expiry(kind: str, days: int) -> None:
    there, last = _there().filter(kind=kind), _placed(_LAST, kind=kind)
    there.filter(pk__in=last, expires_at__isnull=False).update(expires_at=None)
    others = there.exclude(pk__in=last)
    if days:
        until = F("finished_at") + timedelta(days=days)
        others.exclude(expires_at=until).update(expires_at=until)
    else:
        others.filter(expires_at__isnull=False).update(expires_at=None)


def _there() -> QuerySet[Any]:
    return ExportJob.objects.filter(status=JobStatus.SUCCEEDED, deleted_at=None).exclude(file="").order_by()


def _placed(*conditions: Q, **lookups: Any) -> QuerySet[Any]:
    """The ids of those with such a place among what is there of their kind, workspace and condition, the newest
    first: an archive of a part takes no place of one of the whole.


    Besides places, ask for kinds alone: whatever else leaves some out gives the others another place.
    """
    whose = [F("kind"), F("workspace_id"), F("condition_json")]
    newest_first = [F("finished_at").desc(), F("id").desc()]
    is_well = Case(When(_WELL, then=Value(True)), default=Value(False), output_field=BooleanField())
    placed = _there().annotate(is_well=is_well)
    placed = placed.annotate(
        place=Window(RowNumber(), partition_by=whose, order_by=newest_first),
        place_by_wellness=Window(RowNumber(), partition_by=[*whose, F("is_well")], order_by=newest_first),
    )
    ids: QuerySet[Any] = placed.filter(*conditions, **lookups).values("pk")
    return ids
