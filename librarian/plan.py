"""The settings of a `librarian_structure` action, as a run reads them (`librarian.settings_schema` declares them)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from kjxlkj.jobs.models import DEFAULT_QUEUE, LLM_QUEUE
from librarian.models import OperationKind
from librarian.providers import OFFLINE, base_url_of

# Proposing costs nothing offline, so a run may be large; a model is asked about fewer notes.
OFFLINE_MAX_SOURCES = 2000
MODEL_MAX_SOURCES = 50

_STRICT_KINDS = frozenset({OperationKind.CREATE.value, OperationKind.REWRITE.value})


@dataclass(frozen=True, slots=True)
class Provider:
    """Who is asked. None: what the prompt pack says. Prices in US dollars for a million tokens; None: not known."""

    kind: str = OFFLINE
    base_url: str = ""
    model: str = ""
    fallback_models: tuple[str, ...] = ()
    timeout_ms: int = 60_000
    max_tokens: int | None = None
    max_tokens_field: str = "auto"
    """The name under which `max_tokens` is sent; “auto”: what the server is known to take."""
    temperature: float | None = None
    context_tokens: int = 16_384
    input_price: Decimal | None = None
    output_price: Decimal | None = None
    when_down: str = "wait"
    """“wait” for it, or ask the “offline” librarian instead."""
    wait_minutes: int = 720

    @property
    def is_offline(self) -> bool:
        return self.kind == OFFLINE

    @property
    def models(self) -> tuple[str, ...]:
        """In the order in which they are asked."""
        return tuple(dict.fromkeys((self.model, *self.fallback_models)))


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one run."""

    max_requests: int = 20
    max_total_tokens: int = 200_000
    max_cost: Decimal | None = None
    sources_per_request: int = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted of a run. `max_operations` None: no bound but the sources'."""

    provider: Provider = Provider()
    limits: Limits = Limits()
    goal: str = ""
    scope: Mapping[str, Any] = field(default_factory=dict)
    taxonomy: tuple[str, ...] = ()
    taxonomy_closed: bool = False
    style_profile: str = ""
    strict_mode: bool = False
    kinds: frozenset[str] = frozenset(OperationKind.values)
    max_operations: int | None = None
    min_confidence: float = 0.5
    choose_first: bool = False
    auto_apply: Mapping[str, float] = field(default_factory=dict)
    """Kind → least confidence; empty unless `review` is “auto”."""
    auto_apply_decisions: int = 30
    auto_apply_rate: float = 0.95


def read_plan(action: Mapping[str, Any]) -> Plan:
    """From an action that is as the schema says."""
    plan = action.get("plan") or {}
    strict = plan.get("strict_mode", False)
    allowed = plan.get("allowed_kinds")
    kinds = frozenset(allowed) if allowed is not None else _STRICT_KINDS if strict else frozenset(OperationKind.values)
    gate = {f"auto_apply_{name}": value for name, value in (plan.get("auto_apply_gate") or {}).items()}
    return Plan(
        provider=read_provider(action.get("provider") or {}),
        limits=_limits(action.get("limits") or {}),
        goal=plan.get("goal", ""),
        scope=plan.get("scope") or {},
        taxonomy=tuple(plan.get("taxonomy") or ()),
        taxonomy_closed=plan.get("taxonomy_closed", False),
        style_profile=plan.get("style_profile", ""),
        strict_mode=strict,
        kinds=kinds,
        max_operations=plan.get("max_operations"),
        min_confidence=plan.get("min_confidence", 0.5),
        choose_first=plan.get("choose_first", False),
        auto_apply=_given(plan.get("auto_apply") or {}) if plan.get("review") == "auto" else {},
        **gate,
    )


def read_provider(given: Mapping[str, Any]) -> Provider:
    """From the `provider` of an action that is as the schema says."""
    kind = given.get("provider_kind", OFFLINE)
    if kind == OFFLINE:
        return Provider()
    values = _given(given)
    del values["provider_kind"]
    values["fallback_models"] = tuple(values.get("fallback_models", ()))
    values["base_url"] = base_url_of(kind, values.get("base_url", ""))
    prices = {name: Decimal(str(values[name])) for name in ("input_price", "output_price") if name in values}
    return Provider(kind, **{**values, **prices})


def _limits(given: Mapping[str, Any]) -> Limits:
    names = ("max_requests", "max_total_tokens", "sources_per_request")
    values: dict[str, Any] = {name: given[name] for name in names if given.get(name) is not None}
    cost = given.get("max_cost")
    return Limits(max_cost=None if cost is None else Decimal(str(cost)), **values)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is null, which says as much as if it were not there."""
    return {name: value for name, value in values.items() if value is not None}


def max_sources(action: Mapping[str, Any]) -> int:
    limit = (action.get("limits") or {}).get("max_sources")
    if limit:
        return int(limit)
    return OFFLINE_MAX_SOURCES if read_plan(action).provider.is_offline else MODEL_MAX_SOURCES


def queue(action: Mapping[str, Any]) -> str:
    """What waits for a model may do so beside other work; the offline librarian computes."""
    return DEFAULT_QUEUE if read_plan(action).provider.is_offline else LLM_QUEUE
