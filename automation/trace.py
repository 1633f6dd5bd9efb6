"""What a run tells of itself: what started it, and its stages with their time and counts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, QuerySet
from django.db.models.fields.json import KT

from automation.models import Run, RunTrigger


@contextmanager
def stage(run: Run, name: str) -> Iterator[dict[str, int]]:
    """Writes the time of a stage, and the counts that are put in the dictionary, into the run's result."""
    counts: dict[str, int] = {}
    told: dict[str, object] = {"stage": name, "started_at": datetime.now(UTC).isoformat(), "counts": counts}
    began = time.monotonic()
    try:
        yield counts
    finally:
        told["seconds"] = round(time.monotonic() - began, 3)
        run.result_json.setdefault("stages", []).append(told)


def with_outcome(runs: QuerySet[Run]) -> QuerySet[Any]:
    """For lists: of what a run tells, the sentence that it ended with, and not the rest."""
    return runs.annotate(told=KT("result_json__outcome")).defer("result_json")


def triggered_by(run: Run) -> str:
    """What started it, in one sentence. Reads its event, its person and how many events joined it."""
    match run.trigger:
        case RunTrigger.EVENT if run.triggering_event:
            others = run.sources.aggregate(events=Count("event"))["events"] - 1
            more = f" and {others:,} more event{'s' if others > 1 else ''}" if others > 0 else ""
            return f"{run.triggering_event.type} (event {run.triggering_event.seq:,}){more}"
        case RunTrigger.SCHEDULE if run.tick_at:
            zone = run.workspace.time_zone
            return f"its schedule, {run.tick_at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone})"
        case RunTrigger.RETRY:
            return f"a retry of run {run.result_json.get('retry_of', '')} by {run.created_by or 'the system'}"
        case _:
            about = f", about event {run.triggering_event.seq:,}" if run.triggering_event else ""
            return f"{run.created_by or 'the system'} by hand{about}"
