"""Rules in words."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from automation import actions

_SHOWN = 80


def deed(action_json: Mapping[str, Any]) -> str:
    """What an action does: its label, and its settings under the titles that its schema gives them."""
    action = actions.find(action_json.get("kind"))
    if action is None:
        return ""
    settings = {name: value for name, value in action_json.items() if name != "kind"}
    told = "; ".join(_settings(settings, action.schema))
    return f"{action.label} ({told})." if told else f"{action.label}."


def _settings(settings: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    described = schema.get("properties", {})
    for name, value in settings.items():
        about = described.get(name, {})
        if value is None or value in ("", [], {}) or about.get("writeOnly"):
            continue
        if isinstance(value, dict):
            yield from _settings(value, about)
        else:
            yield f"{about.get('title', name.replace('_', ' '))}: {_told(value)}"


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = ", ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text
