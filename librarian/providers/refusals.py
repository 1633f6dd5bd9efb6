"""What a status that is no success means: a category, and words that say what to do."""

import re

from librarian.models import Failure

_NAME_CHARACTERS = 200
_CONTEXT = re.compile(r"context.{0,12}(length|size|window|overflow)|too many tokens", re.IGNORECASE)

_MEANINGS = {
    401: (Failure.AUTH_FAILED, "the key is missing, or not accepted."),
    403: (Failure.AUTH_FAILED, "the key may not be used for this."),
    402: (Failure.INVALID_PAYLOAD, "the credits are used up. Add some: waiting does not help."),
    408: (Failure.TIMEOUT, "the request took it too long."),
    429: (Failure.RATE_LIMITED, "too many requests."),
    502: (Failure.UNREACHABLE, "the model behind it does not answer."),
    503: (Failure.UNREACHABLE, "the model is not there, or is still being loaded."),
    504: (Failure.UNREACHABLE, "the model behind it did not answer in time."),
}
# Of a request that is not taken, by what is said of it.
_FAULTS = [
    (
        _CONTEXT,
        "the request is longer than the model's context. Lower context_tokens in the rule to what the model was "
        "loaded with, or load it with more.",
    ),
    (
        re.compile("max_completion_tokens"),
        "max_tokens goes by another name there. Change max_tokens_field in the rule.",
    ),
    (
        re.compile("unsupported.{0,40}temperature", re.IGNORECASE),
        "it takes no such temperature. Set temperature in the rule to 1.",
    ),
]


def speaks_of_context(message: str) -> bool:
    """Whether a request was longer than the model's context."""
    return _CONTEXT.search(message) is not None


def meaning(status: int, message: str, *, model: str, key_hint: str, location: str) -> tuple[Failure, str]:
    """`message`: what the server says; `location`: where a redirect leads."""
    if status in _MEANINGS:
        category, what = _MEANINGS[status]
        return category, f"{what} {key_hint}" if category == Failure.AUTH_FAILED else what
    return Failure.INVALID_PAYLOAD, _invalid(status, message, model, location)


def _invalid(status: int, message: str, model: str, location: str) -> str:
    if 300 <= status < 400:
        to = f" to {location[:_NAME_CHARACTERS]}" if location else ""
        return f"a redirect{to}, and those are not followed. Set base_url to what is meant."
    for words, what in _FAULTS:
        if words.search(message):
            return what
    if status == 404:
        return (f"it has no model “{model}”, or " if model else "") + (
            "there is nothing at this address: base_url usually ends in /v1."
        )
    if status < 500:
        return "it does not take the request. Look at the model's name and the settings."
    return "a fault of its own. Look at its log."
