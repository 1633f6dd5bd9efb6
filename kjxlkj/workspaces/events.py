"""Writing workspace events: numbered without gaps, in commit order, heard inside the transaction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection

from kjxlkj.request_id import current_request_id
from kjxlkj.workspaces.bell import CHANNEL, EVERYBODY
from kjxlkj.workspaces.models import User, WorkspaceEvent

Listener = Callable[[Sequence[WorkspaceEvent]], None]
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Have `listener` called with the new events of one workspace, inside the transaction that writes them."""
    if listener not in _listeners:
        _listeners.append(listener)


@dataclass(frozen=True, slots=True)
class NewEvent:
    type: str
    note_id: UUID | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    # Where the events of one call have not all the same; what `record` is given holds for the others.
    actor: User | None = None
    run_id: UUID | None = None


def record(
    workspace_id: UUID,
    events: Sequence[NewEvent],
    *,
    actor: User | None = None,
    run_id: UUID | None = None,
) -> list[WorkspaceEvent]:
    """Append `events` in their order. Call it last in a transaction, after every row lock that it needs.

    Taking the numbers locks the workspace's row until the commit: that is what makes the sequence gapless and
    ordered by commit, and it is why whoever records first and locks notes afterwards could deadlock.
    """
    if not events:
        return []
    if not connection.in_atomic_block:
        raise RuntimeError("events are recorded in the transaction of what they tell of")
    with connection.cursor() as cursor:
        # Those who wait for events are told when this commits.
        cursor.execute(
            "UPDATE workspaces_workspace SET event_seq = event_seq + %s WHERE id = %s"
            " RETURNING event_seq, pg_notify(%s, %s)",
            [len(events), workspace_id, CHANNEL, _concerned(workspace_id, events)],
        )
        last = cursor.fetchone()[0]
    request_id = current_request_id()
    rows = WorkspaceEvent.objects.bulk_create(
        [
            WorkspaceEvent(
                workspace_id=workspace_id,
                seq=seq,
                type=event.type,
                actor=event.actor or actor,
                run_id=event.run_id or run_id,
                note_id=event.note_id,
                payload=dict(event.payload),
                request_id=request_id,
            )
            for seq, event in enumerate(events, start=last - len(events) + 1)
        ],
        batch_size=5000,
    )
    for listener in _listeners:
        listener(rows)
    return rows


def _concerned(workspace_id: UUID, events: Sequence[NewEvent]) -> str:
    """Whom to wake. A new member does not know yet that this workspace is theirs too."""
    return EVERYBODY if any(event.type.startswith(("member.", "workspace.")) for event in events) else str(workspace_id)


def record_for_each(events: Iterable[tuple[UUID, NewEvent]]) -> None:
    """As `record`, for events of several workspaces, each with its workspace's id.

    The workspaces are locked in one order, whoever calls: two that lock the same ones cannot wait for each other.
    """
    by_workspace: dict[UUID, list[NewEvent]] = {}
    for workspace_id, event in events:
        by_workspace.setdefault(workspace_id, []).append(event)
    for workspace_id in sorted(by_workspace):
        record(workspace_id, by_workspace[workspace_id])
