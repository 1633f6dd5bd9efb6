"""A note's history as people read it: what changed, by whom, and which rule was behind it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.db.models import F

from kjxlkj.notes.models import CauseKind, Note, NoteEvent

# Versions on one page.
SHOWN = 50


class RuleBehind(NamedTuple):
    name: str
    url: str


RulesBehind = Callable[[Collection[UUID]], Mapping[UUID, RuleBehind]]
"""By run, its rule. Runs that are not kept any more are left out."""

_rules_behind: list[RulesBehind] = []


def tell_rules_by(rules_behind: RulesBehind) -> None:
    """Have the rules of runs told by `rules_behind`: this room lies below theirs."""
    if rules_behind not in _rules_behind:
        _rules_behind.append(rules_behind)


@dataclass(frozen=True, slots=True)
class Entry:
    event: NoteEvent
    rule: RuleBehind | None
    """Of the run that wrote this version, if a run did and is still there."""

    @property
    def what(self) -> str:
        if not self.event.changed:
            return "the first version"
        if "deleted_at" in self.event.changed:
            return "restored" if vars(self.event)["was_deleted_at"] else "deleted"
        return ", ".join(_WORDS.get(field, field) for field in self.event.changed)

    @property
    def how(self) -> str:
        if self.event.cause == CauseKind.OPERATION and not self.event.actor_id:
            return "applied by the rule itself"
        return _HOW[self.event.cause]


_WORDS = {"aliases": "other names", "body": "text", "front_matter": "front matter"}

_HOW: Mapping[str, str] = {
    CauseKind.PERSON: "written",
    CauseKind.OPERATION: "accepted",
    CauseKind.IMPORT: "imported",
    CauseKind.ROLLBACK: "rolled back",
    CauseKind.UNDO: "undone",
}


def timeline(note: Note, *, after: int = 0, before: int | None = None) -> tuple[list[Entry], int | None]:
    """The newest versions between `after` and `before`, and the last one shown if there are older ones."""
    events = note.history.filter(seq__gt=after, **({} if before is None else {"seq__lt": before}))
    found = list(
        events.select_related("actor")
        .annotate(was_deleted_at=F("before__deleted_at"))
        .defer("before")  # whole texts
        .order_by("-seq")[: SHOWN + 1]
    )
    shown = found[:SHOWN]
    return _entries(shown), shown[-1].seq if len(found) > SHOWN else None


def _entries(events: Sequence[NoteEvent]) -> list[Entry]:
    runs = {event.run_id for event in events if event.run_id}
    rules: dict[UUID, RuleBehind] = {}
    for rules_behind in _rules_behind if runs else ():
        rules.update(rules_behind(runs))
    return [Entry(event, rules.get(event.run_id) if event.run_id else None) for event in events]
