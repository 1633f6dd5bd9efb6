"""Reading a note's earlier versions."""

from collections.abc import Mapping
from typing import Any

from kjxlkj.errors import NotFound
from kjxlkj.notes.models import VERSIONED_FIELDS, Note

# Being deleted is a state, not content: a rollback brings back what the note said.
CONTENT = tuple(field for field in VERSIONED_FIELDS if field != "deleted_at")
# Before its first version a note says nothing.
NOTHING: Mapping[str, Any] = {field: [] if field in {"tags", "aliases"} else "" for field in CONTENT}


def state_at(note: Note, version: int) -> dict[str, Any]:
    """What the note said at `version`: of each field, what the next change of it found there.

    Reads one event for each field that has changed since, however many versions lie between.
    Raises `NotFound` VERSION_NOT_FOUND.
    """
    if not 1 <= version <= note.version:
        raise NotFound(
            "VERSION_NOT_FOUND",
            f"version: the note has versions 1 to {note.version}, not {version}.",
            {"field": "version", "current_version": note.version},
        )
    later = note.history.filter(seq__gt=version).order_by("seq").values_list("seq", "changed")
    next_change: dict[str, int] = {}
    for seq, changed in later:
        for field in changed:
            next_change.setdefault(field, seq)
    state = {field: getattr(note, field) for field in CONTENT}
    found = note.history.filter(seq__in=set(next_change.values())).values_list("seq", "before")
    for seq, before in found:
        state.update((field, value) for field, value in before.items() if next_change[field] == seq and field in state)
    return state


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The fields in which two states differ."""
    return [field for field in CONTENT if one[field] != other[field]]
