"""Whether a rule makes sense: every fault at once, each with its JSON path."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from automation import actions, schedules
from automation.triggers import SCHEDULE, TRIGGERS
from kjxlkj.errors import Fault, Faulty
from kjxlkj.notes.filters import condition_faults

CONDITION_MAX_BYTES = 64 * 1024
SETTLE_MAX_SECONDS = 24 * 3600


class RuleInvalid(Faulty):
    """A rule that could not work."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("RULE_INVALID", faults)


def check_rule(values: Mapping[str, Any]) -> None:
    """Raises `RuleInvalid` with every fault of `name, trigger, condition_json, action_json, …`."""
    if faults := rule_faults(values):
        raise RuleInvalid(faults)


def rule_faults(values: Mapping[str, Any]) -> list[Fault]:
    """Every fault of those fields of a rule that are given."""
    faults = [fault for field, check in _CHECKS.items() if field in values for fault in check(values[field])]
    if values.get("trigger") == SCHEDULE and values.get("schedule") == "":
        faults += schedules.faults("")
    return faults


def _name_faults(name: Any) -> list[Fault]:
    if not isinstance(name, str) or not name.strip() or len(name) > 200 or "\0" in name:
        return [Fault("name", "give 1 to 200 characters.")]
    return []


def _trigger_faults(trigger: Any) -> list[Fault]:
    if trigger not in TRIGGERS:
        return [Fault("trigger", f"“{trigger}” is unknown. Use one of: {', '.join(TRIGGERS)}.")]
    return []


def _schedule_faults(line: Any) -> list[Fault]:
    # Another trigger than the schedule needs none, and may keep one for later.
    return schedules.faults(line) if line != "" else []


def _condition_faults(condition: Any) -> list[Fault]:
    if len(json.dumps(condition, ensure_ascii=False).encode(errors="surrogatepass")) > CONDITION_MAX_BYTES:
        return [Fault("condition_json", f"larger than {CONDITION_MAX_BYTES // 1024} KiB. Split the rule.")]
    return condition_faults(condition, "condition_json")


def _action_faults(action: Any) -> list[Fault]:
    if not isinstance(action, dict):
        return [Fault("action_json", "expected an object such as {“kind”: “librarian_structure”}.")]
    registered = actions.find(action.get("kind"))
    if registered is None:
        known = ", ".join(actions.kinds())
        return [Fault("action_json.kind", f"“{action.get('kind')}” is unknown. Use one of: {known}.")]
    return registered.faults(action)


def _number_faults(field: str, least: int, most: int, *, optional: bool = False) -> Callable[[Any], list[Fault]]:
    def faults(value: Any) -> list[Fault]:
        if optional and value is None:
            return []
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            return [Fault(field, f"expected a whole number from {least} to {most:,}.")]
        return []

    return faults


def _boolean_faults(field: str) -> Callable[[Any], list[Fault]]:
    return lambda value: [] if isinstance(value, bool) else [Fault(field, "expected true or false.")]


_CHECKS: dict[str, Callable[[Any], list[Fault]]] = {
    "name": _name_faults,
    "trigger": _trigger_faults,
    "schedule": _schedule_faults,
    "condition_json": _condition_faults,
    "action_json": _action_faults,
    "settle_seconds": _number_faults("settle_seconds", 0, SETTLE_MAX_SECONDS),
    "max_sources": _number_faults("max_sources", 1, 100_000, optional=True),
    "enabled": _boolean_faults("enabled"),
    "on_automation": _boolean_faults("on_automation"),
}
