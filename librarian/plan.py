"""The settings of a `librarian_structure` action: what they are, and how a run reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from automation.budgets import DAILY_LIMITS
from kjxlkj.jobs.models import DEFAULT_QUEUE, LLM_QUEUE
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
    """From an action that is as `SCHEMA` says."""
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


# --- What may be set ------------------------------------------------------------------------------

_PLAN = {
    "goal": {
        "type": "string",
        "maxLength": 2_000,
        "title": "Goal",
        "description": "What it is for, in your words. Models read it; the offline librarian does not.",
    },
    "scope": {
        "type": "object",
        "format": "condition",
        "title": "Look no further than",
        "description": "Notes outside of this are neither read nor changed, whatever the rule's condition says.",
    },
    "allowed_kinds": {
        "type": ["array", "null"],
        "items": {"oneOf": [{"const": value, "title": label} for value, label in OperationKind.choices]},
        "title": "It may propose to",
        "description": "Tick none to allow all.",
    },
    "taxonomy": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 64},
        "title": "Tags to choose from",
        "description": "One in a line. Preferred to others, or the only ones with the next setting.",
    },
    "taxonomy_closed": {
        "type": "boolean",
        "default": False,
        "title": "Only these tags",
        "description": "No tag may be added that is not listed above.",
    },
    "min_confidence": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0.5,
        "title": "Least confidence",
        "description": "From 0 to 1. What the librarian is less sure of is not proposed.",
    },
    "max_operations": {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 100_000,
        "title": "Proposals in one run at the most",
        "description": "Empty: as many as there are.",
    },
    "style_profile": {
        "type": "string",
        "maxLength": 100,
        "title": "Style",
        "description": "How texts are to be written, such as “technical”. For models only.",
    },
    "strict_mode": {
        "type": "boolean",
        "default": False,
        "title": "Strict mode",
        "description": "Only new and rewritten notes, unless the kinds above say otherwise.",
    },
    "allow_delete": {"const": False, "description": "the librarian has no delete operation"},
    # Everything waits for a person: there is no other mode yet.
    "review": {"const": "manual"},
}

SCHEMA = {
    "type": "object",
    "properties": {
        "protocol": {"const": PROTOCOL},
        "provider": {
            "type": "object",
            "title": "Who proposes",
            "properties": {
                "provider_kind": {
                    "enum": list(PROVIDER_KINDS),
                    "default": "offline",
                    "title": "Provider",
                    "description": "The offline librarian needs no network and no key.",
                },
            },
        },
        "plan": {"type": "object", "title": "What to propose", "properties": _PLAN},
        "limits": {
            "type": "object",
            "title": "Limits",
            "properties": {
                "max_sources": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 100_000,
                    "title": "Notes in one run at the most",
                    "description": f"Empty: {OFFLINE_MAX_SOURCES:,} for the offline librarian. The rule's own limit "
                    "goes first.",
                },
                **DAILY_LIMITS,
            },
        },
    },
}
