"""Runs that nobody needs any more are forgotten: of each rule, the oldest of each kind of result.

Never only the newest of all: a failure of last month is still to be seen after a thousand runs that went well. What
people decided about, or can download, stays with its run whatever its age.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import PROTECT, Exists, F, OuterRef, Window
from django.db.models.functions import RowNumber

from automation.models import Run

_AT_ONCE = 1000


def forget() -> int:
    """Delete the runs beyond the newest `RUNS_KEPT` of their rule and kind of result. Returns how many."""
    forgotten = 0
    while ids := _beyond():
        Run.objects.filter(pk__in=ids).delete()
        forgotten += len(ids)
    return forgotten


def _beyond() -> list[UUID]:
    finished = Run.objects.finished()
    for relation in Run._meta.related_objects:
        if relation.on_delete is PROTECT:  # operations, exports: what has come of it
            related: Any = relation.related_model
            finished = finished.filter(~Exists(related.objects.filter(**{relation.field.name: OuterRef("pk")})))
    kind = [F("rule_id"), F("status"), F("error_code")]
    place = Window(RowNumber(), partition_by=kind, order_by=[F("finished_at").desc(), F("id").desc()])
    beyond = finished.annotate(place=place).filter(place__gt=settings.RUNS_KEPT)
    return list(beyond.order_by().values_list("id", flat=True)[:_AT_ONCE])
