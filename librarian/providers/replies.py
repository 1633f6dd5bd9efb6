"""What a server's reply to a request for a completion comes to: an answer, or one of the categories of failure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from librarian.models import Failure
from librarian.providers.messages import Completion, ProviderFailure
from librarian.providers.redaction import Clean
from librarian.providers.refusals import meaning, speaks_of_context

_QUOTED = 300
_NAME_CHARACTERS = 200
_FINISH_CHARACTERS = 32
# Columns of the database end there.
_MOST_TOKENS = 2**31 - 1
_MOST_COST = 1_000_000
_MOST_DIGITS = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """Of `host` to a request about `model`. `clean` is for failures, `clean_answer` for answers."""

    host: str
    model: str
    key_hint: str
    status: int
    text: str
    clean: Clean
    clean_answer: Clean
    retry_after: float = 0.0
    location: str = ""

    def failure(
        self, category: Failure, what: str, *, billed: bool, completion: Completion | None = None
    ) -> ProviderFailure:
        return ProviderFailure(
            category,
            self.clean(what),
            may_be_billed=billed,
            retry_after=self.retry_after,
            body=beginning(self.clean(self.text)),
            status=self.status,
            completion=completion,
        )

    def invalid(self, what: str, completion: Completion | None = None) -> ProviderFailure:
        """Of an answer with a status of success."""
        return self.failure(Failure.INVALID_PAYLOAD, f"{self.host} {what}", billed=True, completion=completion)


def beginning(text: str) -> str:
    return text[:4096]


def read_completion(reply: Reply) -> Completion:
    """Raises `ProviderFailure` for anything that is not one."""
    return _completion(reply, read_object(reply))


def read_models(reply: Reply) -> list[str]:
    """The names. Raises `ProviderFailure`."""
    listed = read_object(reply).get("data")
    if listed is None:
        return []  # as Ollama says that it has none
    if not isinstance(listed, list):
        raise reply.invalid("does not list its models as OpenAI's API does. Look at base_url.")
    names = [each.get("id") for each in listed if isinstance(each, dict)]
    return [reply.clean(name)[:_NAME_CHARACTERS] for name in names if isinstance(name, str)]


def read_object(reply: Reply) -> Mapping[str, Any]:
    """The JSON object of a reply that is no error. Raises `ProviderFailure`."""
    if not 200 <= reply.status < 300:
        said = _parsed(reply.text)
        raise _refusal(reply, reply.status, _message(said.get("error", said) if isinstance(said, dict) else said))
    payload = _parsed(reply.text)
    if not isinstance(payload, dict):
        raise reply.invalid(_not_an_object(reply.text, payload))
    if error := payload.get("error"):
        raise _error(reply, error, payload)
    return payload


def _not_an_object(text: str, payload: Any) -> str:
    start = text.lstrip()[:1]
    if start == "<":
        return "answered with a web page instead of JSON. Look at base_url: it usually ends in /v1."
    if not start:
        return "answered with nothing. Look at its log."
    if payload is None:
        return "answered with what is no JSON, or was cut off. Look at its log, and whether base_url ends in /v1."
    return "answered with JSON that is no object. Is it a server of OpenAI's API? Look at base_url."


def _parsed(text: str) -> Any:
    """None where it is no JSON."""
    try:
        return json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError):
        return None


def _integer(digits: str) -> int | None:
    """Python refuses to read numbers of thousands of digits. Nobody counts that far, so it is no number at all."""
    return int(digits) if len(digits) <= _MOST_DIGITS else None


# --- Errors ---------------------------------------------------------------------------------------


def _error(reply: Reply, error: Any, payload: Mapping[str, Any]) -> ProviderFailure:
    """Told in a reply whose status speaks of success. Its code is read as the status that it should have been."""
    code = str(error.get("code")) if isinstance(error, dict) else ""
    message = _message(error)
    known = _known(reply, payload)
    if re.fullmatch(r"[45]\d\d", code):
        return _refusal(reply, int(code), message, known)
    if speaks_of_context(message):
        return _refusal(reply, 400, message, known)
    return reply.invalid(f"answered with an error.{_quoted(message)}", known)


def _refusal(reply: Reply, status: int, message: str, known: Completion | None = None) -> ProviderFailure:
    category, what = meaning(status, message, model=reply.model, key_hint=reply.key_hint, location=reply.location)
    # Of a server that passes requests on, somebody behind it may have done the work in these cases.
    billed = status == 408 or (status >= 500 and status != 503)
    return reply.failure(
        category, f"{reply.host} answered {status}: {what}{_quoted(message)}", billed=billed, completion=known
    )


def _message(error: Any) -> str:
    """What an error says in words, and its code where that is a word too."""
    if not isinstance(error, dict):
        return error if isinstance(error, str) else ""
    said = [error.get(name) for name in ("code", "type", "message", "detail")]
    metadata = error.get("metadata")
    said.append(metadata.get("raw") if isinstance(metadata, dict) else None)
    words = [each for each in said if isinstance(each, str) and not each.isdigit()]
    return ": ".join(dict.fromkeys(filter(None, words)))


def _quoted(message: str) -> str:
    message = " ".join(message.split())
    return f" It says: “{message[:_QUOTED]}”" if message else ""


# --- Answers --------------------------------------------------------------------------------------


def _completion(reply: Reply, payload: Mapping[str, Any]) -> Completion:
    choices = payload.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise reply.invalid("answered without a choice. Look at its log.", _known(reply, payload))
    if error := choice.get("error"):
        raise _error(reply, error, payload)
    content = message.get("content")
    known = _known(reply, payload, choice, message)
    if not isinstance(content, str) or not content.strip():
        raise reply.invalid(_no_text(content, known), known)
    return known


def _no_text(content: Any, known: Completion) -> str:
    if content and not isinstance(content, str):
        return "answered with something other than text. Use a model, and a server, that answers in text."
    if known.finish_reason == "length":
        spent = "used up its tokens with reasoning" if known.reasoning else "used up its tokens"
        return f"answered with no text: the model {spent}. Raise max_tokens, or have it reason less."
    if known.reasoning:
        return "answered with reasoning and no text. Raise max_tokens, or take a model that reasons less."
    return "answered with no text. Try it again, or another model."


def _known(
    reply: Reply,
    payload: Mapping[str, Any],
    choice: Mapping[str, Any] | None = None,
    message: Mapping[str, Any] | None = None,
) -> Completion:
    """Whatever of an answer is there and credible."""
    usage = payload.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    choice, message = choice or {}, message or {}

    def text(value: Any) -> str:
        return reply.clean_answer(value) if isinstance(value, str) else ""

    return Completion(
        text=text(message.get("content")),
        model=text(payload.get("model"))[:_NAME_CHARACTERS],
        finish_reason=text(choice.get("finish_reason"))[:_FINISH_CHARACTERS],
        reasoning=text(message.get("reasoning_content")) or text(message.get("reasoning")),
        prompt_tokens=_tokens(usage.get("prompt_tokens")),
        completion_tokens=_tokens(usage.get("completion_tokens")),
        cost=_cost(usage.get("cost")),
        status=reply.status,
    )


def _tokens(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else None


def _cost(value: Any) -> Decimal | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Nothing is less or more than NaN.
    return Decimal(str(value)) if is_number and 0 <= value < _MOST_COST else None
