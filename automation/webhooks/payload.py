"""What a webhook tells: the run and its events, or its notes where no event brought them."""

import json
from datetime import UTC, datetime
from typing import Any

from automation.models import Run

# Of each, in one delivery. A run has no more notes; of more events to these, the counts tell what is missing.
MOST = 500

_SOURCE = (
    "note_id",
    "note__path",
    "note__title",
    "event_id",
    "event__type",
    "event__seq",
    "event__created_at",
    "event__actor_id",
    "event__actor__name",
)


def payload(run: Run) -> bytes:
    """JSON, the same for each attempt at a run as long as its notes keep their names."""
    first = _first(run)
    events, notes = (first.sources.filter(event__isnull=without) for without in (False, True))
    return json.dumps(
        {
            "run_id": str(run.id),
            "retry_of": None if first is run else str(first.id),
            "trigger": run.trigger,
            "created_at": _time(run.created_at),
            "rule": {"id": str(run.rule_id), "name": run.rule_snapshot.get("name", "")},
            "workspace": {"id": str(run.workspace_id), "slug": run.workspace.slug, "name": run.workspace.name},
            "event_count": events.count(),
            "events": [_event(row) for row in events.order_by("event__seq").values(*_SOURCE)[:MOST]],
            "note_count": notes.count(),
            "notes": [_note(row) for row in notes.order_by("id").values(*_SOURCE[:3])[:MOST]],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def _first(run: Run) -> Run:
    """A retry tells what the first tries told: an event is counted for a rule once, and so stays with that run."""
    while earlier := run.result_json.get("retry_of"):
        found = Run.objects.filter(pk=earlier).first()
        if found is None:  # forgotten since
            break
        run = found
    return run


def _event(row: dict[str, Any]) -> dict[str, Any]:
    actor_id = row["event__actor_id"]
    return {
        "id": str(row["event_id"]),
        "type": row["event__type"],
        "seq": row["event__seq"],
        "created_at": _time(row["event__created_at"]),
        "actor": {"id": str(actor_id), "name": row["event__actor__name"]} if actor_id else None,
        "note": _note(row),
    }


def _note(row: dict[str, Any]) -> dict[str, str]:
    return {"id": str(row["note_id"]), "path": row["note__path"], "title": row["note__title"]}


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
