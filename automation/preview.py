"""What a condition would match. Reads only, asks no provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kjxlkj.notes.filters import condition_q
from kjxlkj.notes.models import Note

_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Preview:
    matching: int
    notes: list[Note]


def preview(workspace_id: UUID, condition: Mapping[str, Any]) -> Preview:
    """Raises `ConditionInvalid`."""
    notes = Note.objects.live().filter(condition_q(condition), workspace_id=workspace_id)
    return Preview(notes.count(), list(notes.without_text().order_by("path", "id")[:_EXAMPLES]))
