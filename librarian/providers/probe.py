"""What is wrong with a provider, in words: asked by operators (`manage.py doctor`) and by authors of rules."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from kjxlkj.errors import Invalid
from librarian.providers import OFFLINE, base_url_of
from librarian.providers.chat import Ask, Chat, ProviderFailure
from librarian.providers.endpoints import Endpoint, endpoint_of
from librarian.providers.keys import key_for

_LIST_SECONDS = 10.0
# A model that is loaded first takes minutes.
_ASK_SECONDS = 120.0
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    ok: bool
    message: str


def probe(kind: str, base_url: str, model: str, *, ask: bool = False, max_tokens_field: str = "auto") -> list[Finding]:
    """`ask`: for one token, which may cost something. Nothing is sent to an address that is not allowed."""
    if kind == OFFLINE:
        return [Finding(True, "The offline librarian needs nothing: no network, no key, no model.")]
    try:
        endpoint = endpoint_of(kind, base_url_of(kind, base_url))
        key = key_for(endpoint)
    except Invalid as error:
        return [Finding(False, error.message)]
    found = [Finding(True, f"{endpoint.base_url} is allowed."), _key_finding(endpoint, key)]
    with Chat(endpoint, timeout_seconds=_LIST_SECONDS) as chat:
        try:
            for finding in _talk(chat, endpoint, model):
                found.append(finding)  # noqa: PERF402 - what is found before a failure is to be told, too
        except ProviderFailure as failure:
            return [*found, Finding(False, failure.detail)]
    return found + (_asked(endpoint, model, max_tokens_field) if ask and model else [])


def _key_finding(endpoint: Endpoint, key: str) -> Finding:
    if key:
        return Finding(True, f"There is a key for {endpoint.host}.")
    if endpoint.kind == "openrouter":
        return Finding(False, "There is no key. Set OPENROUTER_API_KEY in the environment of the workers.")
    where = endpoint.host if endpoint.is_local or endpoint.base_url.startswith("https:") else f"http://{endpoint.host}"
    return Finding(True, f"There is no key. If it needs one, set KJXLKJ_LLM_KEYS={where}=…")


def _talk(chat: Chat, endpoint: Endpoint, model: str) -> Iterator[Finding]:
    models = chat.models()
    yield Finding(
        True, f"{endpoint.host} answers, and has {'1 model' if len(models) == 1 else f'{len(models)} models'}."
    )
    if endpoint.kind == "openrouter":
        chat.check_key()
        yield Finding(True, "The key is accepted.")
    if model in models:
        yield Finding(True, f"“{model}” is among them.")
    elif model:
        yield Finding(False, f"“{model}” is not among them. {_instead(model, models)}")


def _instead(model: str, models: list[str]) -> str:
    near = get_close_matches(model, models, _NAMED, 0.4) or sorted(models)[:_NAMED]
    return f"Did you mean {', '.join(f'“{name}”' for name in near)}?" if near else "Load one there first."


def _asked(endpoint: Endpoint, model: str, max_tokens_field: str) -> list[Finding]:
    began = time.monotonic()
    with Chat(endpoint, timeout_seconds=_ASK_SECONDS) as chat:
        # The temperature that every model takes.
        ask = Ask(model, "", "Say ok.", max_tokens=1, temperature=1.0, max_tokens_field=max_tokens_field)
        failure = chat.submit(ask).exception()
    # One token may be spent before there is any text.
    if failure is None or (isinstance(failure, ProviderFailure) and _ran_out(failure)):
        return [Finding(True, f"“{model}” answered in {time.monotonic() - began:.1f} s.")]
    return [Finding(False, str(failure))]


def _ran_out(failure: ProviderFailure) -> bool:
    return failure.completion is not None and failure.completion.finish_reason == "length"
