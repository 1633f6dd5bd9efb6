"""Reading a note's earlier versions."""

from typing import Any

from kjxlkj.errors import NotFound
from kjxlkj.notes.models import VERSIONED_FIELDS, Note

# Being deleted is a state, not content: a rollback brings back what the note said.
_CONTENT = tuple(field for field in VERSIONED_FIELDS if field != "deleted_at")


def state_at(note: Note, version: int) -> dict[str, Any]:
    """What the note said at `version`: its present content with the later events unwound, newest first.

    Raises `NotFound` VERSION_NOT_FOUND.
    """
    if not 1 <= version <= note.version:
        raise NotFound(
            "VERSION_NOT_FOUND",
            f"version: the note has versions 1 to {note.version}, not {version}.",
            {"field": "version", "current_version": note.version},
        )
    state = {field: getattr(note, field) for field in _CONTENT}
    later = note.history.filter(seq__gt=version).order_by("-seq").values_list("before", flat=True)
    for before in later:
        state.update({field: value for field, value in before.items() if field in state})
    return state
