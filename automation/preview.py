"""What a rule, saved or not, would do: told from a transaction in which nothing can be written, asking no provider."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings

from automation import actions
from automation.matching import MAX_DEPTH
from automation.models import Rule, Run, RunSource
from automation.read_only import TooSlow, read_only
from automation.runs import source_limit
from automation.sentences import deed
from automation.triggers import NOTE_DELETED, triggers_of
from automation.validation import RuleInvalid, rule_faults
from kjxlkj.errors import Invalid, NotFound, field_error
from kjxlkj.notes.filters import Verdict, condition_q, explain, words_in
from kjxlkj.notes.models import Note
from kjxlkj.notes.search import by_index
from kjxlkj.workspaces.models import WorkspaceEvent

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
    # Not given and null are the same, except of the condition.
    given = {name: value for name, value in values.items() if value is not None or name == "condition_json"}
    if note_id is not None and event_id is not None:
        raise field_error("note_id", "note_id: an event names its note itself. Give event_id or note_id, not both.")
    with looking():
        if faults := rule_faults(given):
            raise RuleInvalid(faults)
        about = _About(given, rule, *_chosen(workspace_id, note_id, event_id))
        return _preview(workspace_id, about)


@contextmanager
def looking() -> Iterator[None]:
    """Reading alone, for as long as a preview may take. Raises `Invalid` PREVIEW_TOO_SLOW."""
    try:
        with read_only(settings.PREVIEW_TIMEOUT_SECONDS):
            yield
    except TooSlow as error:
        raise Invalid(
            "PREVIEW_TOO_SLOW",
            f"A query of the preview took longer than {settings.PREVIEW_TIMEOUT_SECONDS:g} seconds. Narrow the "
            "condition, for example to a folder or a tag.",
            {"seconds": settings.PREVIEW_TIMEOUT_SECONDS},
        ) from error


@dataclass(frozen=True, slots=True)
class _About:
    """What a preview is asked about."""

    values: Mapping[str, Any]
    rule: Rule | None
    note: Note | None
    event: WorkspaceEvent | None


def _chosen(
    workspace_id: UUID, note_id: UUID | None, event_id: UUID | None
) -> tuple[Note | None, WorkspaceEvent | None]:
    event = None
    if event_id is not None:
        event = WorkspaceEvent.objects.filter(pk=event_id, workspace_id=workspace_id).first()
        if event is None or event.note_id is None:
            raise NotFound("EVENT_NOT_FOUND", "event_id: this workspace has no such event about a note.")
        note_id = event.note_id
    if note_id is None:
        return None, None
    note = Note.objects.get_queryset().without_text().filter(pk=note_id, workspace_id=workspace_id).first()
    if note is None:
        raise NotFound("NOTE_NOT_FOUND", "note_id: this workspace has no such note.")
    return note, event


def _preview(workspace_id: UUID, about: _About) -> Preview:
    condition = about.values["condition_json"]
    notes = Note.objects.live().filter(condition_q(condition), workspace_id=workspace_id)
    # Whoever counts what a search finds wants all of it, and the index has it.
    with by_index() if "text" in words_in(condition) else nullcontext():
        matching = notes.count()
    verdicts = explain(Note.objects.filter(pk=about.note.pk), condition, "condition_json") if about.note else []
    action_json = about.values.get("action_json")
    return Preview(
        matching=matching,
        notes=list(notes.without_text().order_by("path", "id")[:_EXAMPLES]) if matching else [],
        runs=_runs(about.values, matching),
        does=deed(action_json) if action_json else "",
        note=about.note,
        decision=_decision(about, verdicts),
        verdicts=verdicts,
    )


def _runs(values: Mapping[str, Any], matching: int) -> int:
    action = actions.find(values.get("action_json", {}).get("kind"))
    if action is None:
        return 0
    limit = source_limit(Rule(action_json=values["action_json"], max_sources=values.get("max_sources")))
    return math.ceil(matching / limit) or int(not action.needs_sources)


def _decision(about: _About, verdicts: Sequence[Verdict]) -> Decision | None:
    if about.note is None:
        return None
    reasons = [*_against_event(about, about.event)] if about.event else []
    if about.note.deleted_at and not (about.event and about.values.get("trigger") == NOTE_DELETED):
        reasons.append("The note is deleted.")
    if not verdicts[0].holds:
        reasons.append("The condition does not hold for the note as it is now.")
    return Decision(not reasons, reasons)


def _against_event(about: _About, event: WorkspaceEvent) -> Iterator[str]:
    """Why the rule would not fire for `event`, whatever its note says."""
    trigger, rule = about.values.get("trigger"), about.rule
    if trigger is not None and trigger not in triggers_of(event.type):
        yield f"The trigger is {trigger}, and the event {event.type}."
    if trigger == event.type == NOTE_DELETED and about.note and not about.note.deleted_at:
        yield "The note has been restored since."
    yield from _against_chain(about, event)
    if rule is None:
        return
    if not rule.enabled:
        yield "The rule is disabled."
    if RunSource.objects.filter(rule=rule, event=event).exists():
        yield "The event was counted for this rule already."


def _against_chain(about: _About, event: WorkspaceEvent) -> Iterator[str]:
    """As matching decides it (see `automation.matching`)."""
    caused_by = Run.objects.filter(pk=event.run_id).values_list("chain", "rule_id").first() if event.run_id else None
    if caused_by is None:
        return
    chain = (*caused_by[0], caused_by[1])
    rule = about.rule
    if not about.values.get("on_automation", rule is not None and rule.on_automation):
        yield "A run made this change, and the rule does not fire for those (on_automation)."
    if rule is not None and rule.id in chain:
        yield "A run of this rule led to the change, and no rule feeds itself."
    if len(chain) > MAX_DEPTH:
        yield f"A chain ends after {MAX_DEPTH} runs that no person started, and this would be the next."
