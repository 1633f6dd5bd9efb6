"""What rules can do. Apps register their actions in `AppConfig.ready()`; this room imports none of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from automation.budgets import Budget, daily_budget
from automation.models import Run
from kjxlkj.errors import Fault
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.models import DEFAULT_QUEUE

Effects = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Action:
    """One kind of action.

    `schema` is the JSON schema of its settings, without `kind`: what the admin makes a form of and the API tells.
    `faults(action_json)` lists what is wrong with its settings, each with its JSON path.
    `work(run, lease)` does the slow part outside of any transaction and returns the effects, which commit with
    the run's end (see `kjxlkj.jobs.registry.JobKind`); what it learns goes into `run.result_json`.
    `max_sources(action_json)` is how many notes one run takes where the rule does not say.
    `most_sources` is how many it takes whatever the rule says, where the action cannot do with more: as with
    `max_sources`, more notes make more runs.
    `queue(action_json)` is the queue that its runs ask for.
    `budget(action_json)` is what its runs may use in a day.
    `superusers_only`: it concerns the whole instance, and so do the writing and the launching of its rules.
    `reads_sources`: false where it works by the condition itself, so that one run is for all notes, and a launch
    need not list them.
    `acts_outside(action_json)`: whether its work is felt outside of the database, or costs money, so that a database
    that was restored cannot tell whether it has been done since.
    `needs_sources`: without a note there is nothing to do, and a launch says so instead of starting a run.
    """

    kind: str
    label: str
    faults: Callable[[Mapping[str, Any]], list[Fault]]
    work: Callable[[Run, Lease], Effects | None]
    max_sources: Callable[[Mapping[str, Any]], int]
    most_sources: int | None = None
    reads_sources: bool = True
    needs_sources: bool = False
    superusers_only: bool = False
    acts_outside: Callable[[Mapping[str, Any]], bool] = lambda action_json: False
    queue: Callable[[Mapping[str, Any]], str] = lambda action_json: DEFAULT_QUEUE
    budget: Callable[[Mapping[str, Any]], Budget] = daily_budget
    schema: Mapping[str, Any] = field(default_factory=dict)


_actions: dict[str, Action] = {}


def register(action: Action) -> None:
    if action.kind in _actions:
        raise ValueError(f"action {action.kind} is registered already: one name, one action")
    _actions[action.kind] = action


def find(kind: object) -> Action | None:
    return _actions.get(kind) if isinstance(kind, str) else None


def for_superusers(action_json: object) -> bool:
    """Whether a rule with these settings is a superuser's alone to write and to launch."""
    action = find(action_json.get("kind")) if isinstance(action_json, dict) else None
    return action is not None and action.superusers_only


def kinds() -> list[str]:
    return sorted(_actions)


def actions() -> Iterator[Action]:
    return iter(_actions.values())
