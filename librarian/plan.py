"""The settings of a `librarian_structure` action: read from a rule's JSON, every fault with its path."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kjxlkj.errors import Fault
from kjxlkj.jobs.models import DEFAULT_QUEUE, LLM_QUEUE
from kjxlkj.notes.filters import condition_faults
from librarian.models import OperationKind
from librarian.providers import PROVIDER_KINDS

PROTOCOL = "xml_attrless"
# Proposing costs nothing offline, so a run may be large; a model is asked about fewer notes at once.
OFFLINE_MAX_SOURCES = 2000

_STRICT_KINDS = frozenset({OperationKind.CREATE.value, OperationKind.REWRITE.value})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted of a run. `max_operations` None: no bound but the sources'."""

    provider_kind: str = "offline"
    goal: str = ""
    scope: Mapping[str, Any] = field(default_factory=dict)
    taxonomy: tuple[str, ...] = ()
    taxonomy_closed: bool = False
    style_profile: str = ""
    strict_mode: bool = False
    kinds: frozenset[str] = frozenset(OperationKind.values)
    max_operations: int | None = None
    min_confidence: float = 0.5


def read_plan(action: Mapping[str, Any]) -> Plan:
    """From an action that `plan_faults` found good."""
    plan = action.get("plan") or {}
    provider = action.get("provider") or {}
    strict = plan.get("strict_mode", False)
    allowed = plan.get("allowed_kinds")
    kinds = frozenset(allowed) if allowed is not None else _STRICT_KINDS if strict else frozenset(OperationKind.values)
    return Plan(
        provider_kind=provider.get("provider_kind", "offline"),
        goal=plan.get("goal", ""),
        scope=plan.get("scope") or {},
        taxonomy=tuple(plan.get("taxonomy") or ()),
        taxonomy_closed=plan.get("taxonomy_closed", False),
        style_profile=plan.get("style_profile", ""),
        strict_mode=strict,
        kinds=kinds,
        max_operations=plan.get("max_operations"),
        min_confidence=plan.get("min_confidence", 0.5),
    )


def max_sources(action: Mapping[str, Any]) -> int:
    limit = (action.get("limits") or {}).get("max_sources")
    return int(limit) if limit else OFFLINE_MAX_SOURCES


def queue(action: Mapping[str, Any]) -> str:
    """What waits for a model may do so beside other work; the offline librarian computes."""
    return DEFAULT_QUEUE if read_plan(action).provider_kind == "offline" else LLM_QUEUE


# --- Faults ---------------------------------------------------------------------------------------

Check = Callable[[Any, str], list[Fault]]


def plan_faults(action: Mapping[str, Any]) -> list[Fault]:
    return _object(action, "action_json", _ACTION)


def _object(value: Any, path: str, fields: Mapping[str, Check]) -> list[Fault]:
    if not isinstance(value, dict):
        return [Fault(path, "expected an object.")]
    faults = []
    for name, item in value.items():
        where = f"{path}.{name}"
        if name in fields:
            faults += fields[name](item, where)
        elif "key" in name.lower() or "token" in name.lower().split("_"):
            faults.append(Fault(where, "no keys in rules: they come from the server's environment."))
        else:
            faults.append(Fault(where, f"unknown. Use one of: {', '.join(fields)}."))
    return faults


def _nested(fields: Mapping[str, Check]) -> Check:
    return lambda value, path: _object(value, path, fields)


def _one_of(*allowed: str) -> Check:
    message = f"expected one of: {', '.join(allowed)}."
    return lambda value, path: [] if value in allowed else [Fault(path, message)]


def _text(most: int) -> Check:
    def check(value: Any, path: str) -> list[Fault]:
        if not isinstance(value, str) or len(value) > most or "\0" in value:
            return [Fault(path, f"expected a text of at most {most:,} characters.")]
        return []

    return check


def _boolean(value: Any, path: str) -> list[Fault]:
    return [] if isinstance(value, bool) else [Fault(path, "expected true or false.")]


def _whole(least: int, most: int, *, optional: bool = False) -> Check:
    def check(value: Any, path: str) -> list[Fault]:
        if optional and value is None:
            return []
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            return [Fault(path, f"expected a whole number from {least} to {most:,}.")]
        return []

    return check


def _share(value: Any, path: str) -> list[Fault]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return [Fault(path, "expected a number from 0 to 1.")]
    return []


def _texts(value: Any, path: str) -> list[Fault]:
    if not isinstance(value, list) or not all(isinstance(item, str) and 0 < len(item) <= 64 for item in value):
        return [Fault(path, "expected a list of labels of 1 to 64 characters.")]
    return []


def _kinds(value: Any, path: str) -> list[Fault]:
    if value is None or (isinstance(value, list) and all(item in OperationKind.values for item in value)):
        return []
    return [Fault(path, f"expected null or a list of: {', '.join(OperationKind.values)}.")]


def _no_delete(value: Any, path: str) -> list[Fault]:
    return [] if value is False else [Fault(path, "expected false: the librarian has no delete operation.")]


_ACTION: dict[str, Check] = {
    "kind": _one_of("librarian_structure"),
    "protocol": _one_of(PROTOCOL),
    "provider": _nested({"provider_kind": _one_of(*PROVIDER_KINDS)}),
    "plan": _nested(
        {
            "goal": _text(2_000),
            "scope": condition_faults,
            "taxonomy": _texts,
            "taxonomy_closed": _boolean,
            "style_profile": _text(100),
            "strict_mode": _boolean,
            "allowed_kinds": _kinds,
            "max_operations": _whole(1, 100_000, optional=True),
            "min_confidence": _share,
            "allow_delete": _no_delete,
            # Everything waits for a person: there is no other mode yet.
            "review": _one_of("manual"),
        }
    ),
    "limits": _nested({"max_sources": _whole(1, 100_000)}),
}
