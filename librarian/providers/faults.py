"""What is wrong with the `provider` of a rule beyond its schema: who may be asked, and what asking needs."""

from collections.abc import Iterator, Mapping
from typing import Any

from kjxlkj.errors import Fault
from librarian.plan import Provider, read_provider
from librarian.providers.endpoints import base_url_fault

_PATH = "action_json.provider"


def provider_faults(action_json: Mapping[str, Any]) -> list[Fault]:
    """Of an action that is as the schema says. Settings that the offline librarian does not heed are no fault."""
    provider = read_provider(action_json.get("provider") or {})
    if provider.is_offline:
        return []
    return [*_faults(provider), *_price_faults(provider, action_json.get("limits") or {})]


def _faults(provider: Provider) -> Iterator[Fault]:
    if fault := base_url_fault(provider.kind, provider.base_url):
        yield Fault(f"{_PATH}.base_url", fault)
    if not provider.model.strip():
        yield Fault(f"{_PATH}.model", "is missing. Name a model as the server calls it.")
    if provider.max_tokens is not None and provider.max_tokens >= provider.context_tokens:
        yield Fault(
            f"{_PATH}.max_tokens",
            f"leaves no room for a question: the context has {provider.context_tokens:,} tokens, answer included. "
            "Lower it, or raise context_tokens to what the model is loaded with.",
        )


def _price_faults(provider: Provider, limits: Mapping[str, Any]) -> Iterator[Fault]:
    missing = [name for name in ("input_price", "output_price") if getattr(provider, name) is None]
    for name in ("max_cost", "max_cost_per_day"):
        if missing and limits.get(name) is not None:
            needed = " and ".join(f"provider.{each}" for each in missing)
            yield Fault(
                f"action_json.limits.{name}", f"cost is reckoned from prices. Give {needed}, or leave this empty."
            )
