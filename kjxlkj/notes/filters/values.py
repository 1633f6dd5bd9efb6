"""What the words of the vocabulary take: how a value is written, read, entered in a form, and told."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_naive, make_aware

from kjxlkj.notes.models import NoteKind
from kjxlkj.notes.tags import MAX_TAG_CHARACTERS, normalise_tag

TEXT_MAX = 500
NUMBER_MAX = 10**9 - 1
DAYS_MAX = 36_500
# PostgreSQL takes neither, not even to compare with.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class BadValue(ValueError):
    """A filter's value is not what it takes; the message says what is."""


def _same(value: str) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Takes:
    """One kind of value.

    `input` is the field that a form gives it: text, tags, boolean, number, days, time, choice, folder or pairs.
    `schema` is the JSON schema of a good value, as far as a schema can say it.
    `read` makes of a JSON value what the SQL needs, or raises `BadValue`.
    `from_text` makes the JSON value of what stands in a query parameter or a form; what it cannot, it leaves to `read`.
    `tell` says a value in words.
    """

    input: str
    schema: Mapping[str, Any]
    read: Callable[[Any], Any]
    from_text: Callable[[str], Any] = _same
    tell: Callable[[Any], str] = str
    choices: Sequence[str] = ()


# --- Reading --------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadValue("expected a text that is not empty")
    if len(value) > TEXT_MAX:
        raise BadValue(f"expected at most {TEXT_MAX} characters")
    if _UNSTORABLE.search(value):
        raise BadValue("expected no NUL and no lone surrogate")
    return value


def _folder(value: Any) -> str:
    return "" if value == "" else _text(value).strip("/")


def _tag(value: Any) -> str:
    written = _text(value)
    tag = normalise_tag(written)
    # No note has a longer one, and PostgreSQL would compare with its beginning.
    if not tag or max(len(tag), len(written)) > MAX_TAG_CHARACTERS:
        raise BadValue(f"expected a tag of at most {MAX_TAG_CHARACTERS} characters")
    return tag


def _tags(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise BadValue("expected a list of tags that is not empty")
    return [_tag(tag) for tag in value]


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadValue("expected true or false")
    return value


def _whole(value: Any) -> int:
    # JSON knows one kind of number: 2.0 is whole.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= NUMBER_MAX or value % 1:
        raise BadValue(f"expected a whole number from 0 to {NUMBER_MAX:,}")
    return int(value)


def _days(value: Any) -> int:
    with suppress(BadValue):
        if 1 <= (days := _whole(value)) <= DAYS_MAX:
            return days
    raise BadValue(f"expected 1 to {DAYS_MAX:,} days")


def _time(value: Any) -> datetime:
    text = _text(value)
    with suppress(ValueError, OverflowError):
        day = parse_date(text)
        moment = datetime.combine(day, time.min) if day else parse_datetime(text)
        if moment is not None:
            # In UTC: what lies beyond the calendar shows itself here and not in the query.
            return (make_aware(moment) if is_naive(moment) else moment).astimezone(UTC)
    raise BadValue("expected a date or time such as 2026-05-31 or 2026-05-31T12:00:00Z")


def _kind(value: Any) -> str:
    if value not in NoteKind.values:
        raise BadValue(f"expected one of {', '.join(NoteKind.values)}")
    return str(value)


def _pairs(value: Any) -> dict[str, list[Any]]:
    """Of each key the values that it may have: YAML makes a number of 2024, whatever a person thinks they wrote."""
    if not isinstance(value, dict) or not value:
        raise BadValue("expected keys and values such as {“status”: “open”}, as a parameter status=open")
    return {_key(key): _scalar(item) for key, item in value.items()}


def _key(value: Any) -> str:
    return value if value == "" else _text(value)


def _scalar(value: Any) -> list[Any]:
    if _is_number(value):
        return [value, json.dumps(value)]
    text = _text(value)
    with suppress(ValueError, RecursionError):
        other = json.loads(text)
        if _is_number(other):
            return [text, other]
    return [text]


def _is_number(value: Any) -> bool:
    """Or true or false. What Python reads beyond JSON, infinity and such, is none."""
    return math.isfinite(value) if isinstance(value, float) else isinstance(value, bool | int)


# --- From the text of a parameter -----------------------------------------------------------------


def _boolean_from(text: str) -> Any:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)


def _number_from(text: str) -> Any:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _pairs_from(text: str) -> Any:
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {key.strip(): value.strip() for key, _, value in pairs} if all(pair[1] for pair in pairs) else text


# --- The kinds ------------------------------------------------------------------------------------

# Not empty, and not of white space alone.
_WORDS = {"type": "string", "pattern": r"\S", "maxLength": TEXT_MAX}


def _tell_pairs(value: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {item if isinstance(item, str) else json.dumps(item)}" for key, item in value.items())


TEXT = Takes("text", _WORDS, _text, tell="“{}”".format)
FOLDER = Takes(
    "folder", {"type": "string", "anyOf": [{"enum": [""]}, _WORDS]}, _folder, tell=lambda v: f"“{v}”" if v else "none"
)
_TAG = {**_WORDS, "maxLength": MAX_TAG_CHARACTERS}
TAG = Takes("tag", _TAG, _tag)
TAGS = Takes(
    "tags",
    {"type": "array", "items": _TAG, "minItems": 1},
    _tags,
    from_text=lambda text: text.split(","),
    tell=", ".join,
)
BOOLEAN = Takes("boolean", {"type": "boolean"}, _boolean, _boolean_from, tell=lambda v: "yes" if v else "no")
NUMBER = Takes(
    "number", {"type": "integer", "minimum": 0, "maximum": NUMBER_MAX}, _whole, _number_from, tell="{:,.0f}".format
)
DAYS = Takes("days", {"type": "integer", "minimum": 1, "maximum": DAYS_MAX}, _days, _number_from, tell="{:,.0f}".format)
TIME = Takes("time", {**_WORDS, "anyOf": [{"format": "date"}, {"format": "date-time"}]}, _time)
KIND = Takes("choice", {"enum": list(NoteKind.values)}, _kind, choices=tuple(NoteKind.values))
PAIRS = Takes(
    "pairs",
    {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"anyOf": [_WORDS, {"type": "number"}, {"type": "boolean"}]},
    },
    _pairs,
    _pairs_from,
    _tell_pairs,
)
