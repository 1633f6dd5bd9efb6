"""The part of `manage.py doctor` that is about providers."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from automation.models import Rule
from kjxlkj.health import Check, Examination
from librarian.plan import read_provider
from librarian.providers import PROVIDER_KINDS


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--provider",
        metavar="KIND, RULE OR URL",
        help=f"Look at this provider instead: {', '.join(PROVIDER_KINDS)}, a rule's id, or an address up to /v1.",
    )
    parser.add_argument("--model", default="", help="Whether the provider has this model. Of a rule: its own.")
    parser.add_argument("--ask", action="store_true", help="Ask the model for one token, which may cost something.")


def _examine(options: Mapping[str, Any]) -> list[tuple[str, Check]]:
    # It brings httpx, which no other command needs.
    from librarian.providers.probe import probe

    given, model = options["provider"], options["model"]
    if given is None:
        return []
    kind, base_url, max_tokens_field = "openai_compatible", given, "auto"
    if given in PROVIDER_KINDS:
        kind, base_url = given, ""
    elif urlsplit(given).hostname == "openrouter.ai":
        kind = "openrouter"
    elif (rule_id := _uuid(given)) is not None:
        rule = Rule.objects.filter(pk=rule_id).first()
        if rule is None:
            return [("provider", Check(False, f"There is no rule {rule_id}."))]
        provider = read_provider(rule.action_json.get("provider") or {})
        kind, base_url, model = provider.kind, provider.base_url, model or provider.model
        max_tokens_field = provider.max_tokens_field
    found = probe(kind, base_url, model, ask=options["ask"], max_tokens_field=max_tokens_field)
    return [("provider", Check(finding.ok, finding.message)) for finding in found]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


PROVIDERS = Examination(_add_arguments, _examine)
