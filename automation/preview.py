"""What a rule, saved or not, would do. Reads only, asks no provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from automation.models import Rule
from kjxlkj.notes.filters import Verdict, condition_q, explain
from kjxlkj.notes.models import Note

_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the rule would take the chosen note, or fire for the chosen event; if not, why, each in a sentence."""

    fires: bool
    reasons: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """`notes` are the first of the `matching`, by path; `runs` is how many a launch would make.

    `does` says in a sentence what these would do; "" without an action. `note`, `decision` and `verdicts` are about
    the chosen note, or the note of the chosen event: None and empty without one.
    """

    matching: int
    notes: list[Note]
    runs: int = 0
    does: str = ""
    note: Note | None = None
    decision: Decision | None = None
    verdicts: list[Verdict] = field(default_factory=list)


def preview(
    workspace_id: UUID,
    values: Mapping[str, Any],
    *,
    note_id: UUID | None = None,
    event_id: UUID | None = None,
    rule: Rule | None = None,
) -> Preview:
    """Of a rule with these `values`: condition_json and, if they are given, trigger, action_json, max_sources.

    `rule` is the saved rule that they are of, or a change to: what it has counted already, it will not count again.
    Raises `RuleInvalid` with every fault, `NotFound` NOTE_NOT_FOUND or EVENT_NOT_FOUND, `Invalid` PREVIEW_TOO_SLOW.
    """
    condition = values["condition_json"]
    notes = Note.objects.live().filter(condition_q(condition), workspace_id=workspace_id)
    examples = list(notes.without_text().order_by("path", "id")[:_EXAMPLES])
    verdicts = explain(Note.objects.filter(pk=note_id, workspace_id=workspace_id), condition) if note_id else []
    return Preview(notes.count(), examples, verdicts=verdicts)
