"""Whether a rule makes sense: every fault at once, each with its JSON path."""

import json
from collections.abc import Mapping
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
    faults = [
        *_name_faults(values["name"]),
        *_trigger_faults(values["trigger"]),
        *_schedule_faults(values["trigger"], values["schedule"]),
        *_condition_faults(values["condition_json"]),
        *_action_faults(values["action_json"]),
        *_number_faults("settle_seconds", values["settle_seconds"], 0, SETTLE_MAX_SECONDS),
    ]
    if values["max_sources"] is not None:
        faults += _number_faults("max_sources", values["max_sources"], 1, 100_000)
    faults += [
        Fault(field, "expected true or false.")
        for field in ("enabled", "on_automation")
        if not isinstance(values[field], bool)
    ]
    if faults:
        raise RuleInvalid(faults)


def _name_faults(name: Any) -> list[Fault]:
    if not isinstance(name, str) or not name.strip() or len(name) > 200 or "\0" in name:
        return [Fault("name", "give 1 to 200 characters.")]
    return []


def _trigger_faults(trigger: Any) -> list[Fault]:
    if trigger not in TRIGGERS:
        return [Fault("trigger", f"“{trigger}” is unknown. Use one of: {', '.join(TRIGGERS)}.")]
    return []


def _schedule_faults(trigger: Any, line: Any) -> list[Fault]:
    # Another trigger does not need it, and may keep it for later.
    return schedules.faults(line) if trigger == SCHEDULE or line != "" else []


def _condition_faults(condition: Any) -> list[Fault]:
    if len(json.dumps(condition)) > CONDITION_MAX_BYTES:
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


def _number_faults(field: str, value: Any, least: int, most: int) -> list[Fault]:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        return [Fault(field, f"expected a whole number from {least} to {most:,}.")]
    return []
