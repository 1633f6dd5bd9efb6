"""Reading the feed: what happened in some workspaces since a reader's positions, in pages."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from kjxlkj.workspaces.bell import bell
from kjxlkj.workspaces.cursor import Positions, bad_cursor, name_of
from kjxlkj.workspaces.models import WorkspaceEvent

# Of each workspace only as many as the page can hold are looked at. The page shows all of them as near to the order of
# their times as the order of each one's numbers allows: clocks of several hosts differ.
_NEXT = """
    SELECT event.* FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS place (workspace_id, after, head),
    LATERAL (
        SELECT *, max(created_at) OVER (ORDER BY seq) AS turn FROM (
            SELECT * FROM workspaces_workspaceevent
            WHERE workspace_id = place.workspace_id AND seq > place.after AND seq <= place.head {narrowed}
            ORDER BY seq LIMIT %s
        ) AS first
    ) AS event
    ORDER BY event.turn, event.workspace_id, event.seq LIMIT %s"""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which events are shown. The others are passed over: positions move on behind them all the same."""

    types: tuple[str, ...] = ()
    """Each a type, or with a dot at its end the beginning of several."""
    note_id: UUID | None = None
    run_id: UUID | None = None

    def as_sql(self) -> tuple[str, list[Any]]:
        conditions, values = [], []
        if self.types:
            conditions.append("(type = ANY(%s) OR type ^@ ANY(%s))")
            values += [list(self.types), [each for each in self.types if each.endswith(".")]]
        for column in ("note_id", "run_id"):
            if value := getattr(self, column):
                conditions.append(f"{column} = %s")
                values.append(value)
        return "".join(f" AND {condition}" for condition in conditions), values


@dataclass(frozen=True, slots=True)
class FeedPage:
    events: list[WorkspaceEvent]
    positions: Positions
    """Behind this page: everything up to there was shown or passed over."""
    more: bool
    workspace_ids: frozenset[UUID]


def latest(heads: Mapping[UUID, int]) -> dict[bytes, int]:
    """The positions of who has seen everything up to now."""
    return {name_of(workspace_id): seq for workspace_id, seq in heads.items()}


def refuse_if_ahead(heads: Mapping[UUID, int], positions: Positions, parameter: str) -> None:
    """A number that was not given yet would hide the event that will bear it. Raises `BadRequest`."""
    if any(positions.get(name_of(workspace_id), 0) > seq for workspace_id, seq in heads.items()):
        raise bad_cursor("it is ahead of what has happened, as after a backup was restored", parameter)


def read_page(heads: Mapping[UUID, int], positions: Positions, narrowing: Narrowing, limit: int) -> FeedPage:
    """The next events up to `heads`, the workspaces with their last numbers, which must have been read before.

    A number is taken under its workspace's lock, so whoever sees a last number sees every event up to it. In which no
    new workspace counts as seen: it begins at its first event.
    """
    after = {workspace_id: positions.get(name_of(workspace_id), 0) for workspace_id in heads}
    behind = [workspace_id for workspace_id, seq in heads.items() if after[workspace_id] < seq]
    if not behind:
        return FeedPage([], positions, False, frozenset(heads))
    narrowed, values = narrowing.as_sql()
    places = [behind, [after[each] for each in behind], [heads[each] for each in behind]]
    found = list(WorkspaceEvent.objects.raw(_NEXT.format(narrowed=narrowed), [*places, *values, limit + 1, limit + 1]))
    events, more = found[:limit], len(found) > limit
    reached = {event.workspace_id: event.seq for event in events} if more else {each: heads[each] for each in behind}
    return FeedPage(events, {**positions, **latest(reached)}, more, frozenset(heads))


def follow(look: Callable[[Positions], FeedPage], positions: Positions, seconds: float) -> tuple[FeedPage, bool]:
    """`look` at once, and whenever something has happened, until there are events or the time is over.

    While it waits this thread has no database connection. False: it was not let wait, as all places are taken or this
    process stops.
    """
    deadline = time.monotonic() + seconds
    with bell.seat() as seat:
        page = look(positions)
        while seat is not None and not (page.events or bell.is_stopped):
            connection.close()
            left = deadline - time.monotonic()
            if left <= 0 or not seat.wait(left, page.workspace_ids):
                return page, True
            seat.clear()
            page = _look_again(look, page)
        return page, seat is not None and not bell.is_stopped


def _look_again(look: Callable[[Positions], FeedPage], page: FeedPage) -> FeedPage:
    try:
        return look(page.positions)
    except (OperationalError, InterfaceError):
        # The database restarts. When it is back the bell rings.
        return page
