"""What can start a rule."""

MANUAL = "manual"
NOTE_CHANGED = "note.changed"

NOTE_EVENTS = (
    "note.created",
    "note.updated",
    "note.retitled",
    "note.retagged",
    "note.deleted",
    "note.restored",
)
# `note.changed` stands for any of these.
CHANGES = frozenset(NOTE_EVENTS) - {"note.deleted"}

TRIGGERS = (MANUAL, NOTE_CHANGED, *NOTE_EVENTS)


def triggers_of(event_type: str) -> set[str]:
    """The rule triggers that an event of this type fires."""
    if event_type not in NOTE_EVENTS:
        return set()
    return {event_type, NOTE_CHANGED} if event_type in CHANGES else {event_type}
