"""What can start a rule."""

MANUAL = "manual"
SCHEDULE = "schedule"
NOTE_CHANGED = "note.changed"
NOTE_DELETED = "note.deleted"

NOTE_EVENTS = (
    "note.created",
    "note.updated",
    "note.retitled",
    "note.retagged",
    NOTE_DELETED,
    "note.restored",
)
# `note.changed` stands for any of these.
CHANGES = frozenset(NOTE_EVENTS) - {NOTE_DELETED}

TRIGGERS = (MANUAL, SCHEDULE, NOTE_CHANGED, *NOTE_EVENTS)


def triggers_of(event_type: str) -> set[str]:
    """The rule triggers that an event of this type fires."""
    if event_type not in NOTE_EVENTS:
        return set()
    return {event_type, NOTE_CHANGED} if event_type in CHANGES else {event_type}
