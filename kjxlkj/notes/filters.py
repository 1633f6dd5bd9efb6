"""The one filter vocabulary over notes: lists, search, export, librarian scope and rule conditions speak it.

A condition is a JSON tree: `{"all": [...]}`, `{"any": [...]}`, `{"not": {...}}`, or an object of filters from
`VOCABULARY`, which must all hold. `{}` holds for every note. `parse` reports every fault at once, each with its
JSON path; `condition_q` turns a tree into one SQL condition.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Length, Now
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import is_naive, make_aware

from kjxlkj.errors import Fault, Faulty
from kjxlkj.notes.models import NoteKind, NoteLink
from kjxlkj.notes.search import search_query
from kjxlkj.notes.tags import normalise_tag

MAX_DEPTH = 8
MAX_NODES = 100
TEXT_MAX = 500
# PostgreSQL takes neither, not even to compare with.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class BadValue(ValueError):
    """A filter's value is not what it takes; the message says what is."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One word of the vocabulary: what it takes (a JSON schema), how it reads, what it means in SQL."""

    label: str
    schema: Mapping[str, Any]
    read: Callable[[Any], Any]
    q: Callable[[Any], Q]


# --- Reading values -------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadValue("expected a text that is not empty")
    if len(value) > TEXT_MAX or _UNSTORABLE.search(value):
        raise BadValue(f"expected at most {TEXT_MAX} characters, no NUL and no lone surrogate")
    return value


def _folder(value: Any) -> str:
    if value == "":
        return ""
    return _text(value).strip("/")


def _tag(value: Any) -> str:
    tag = normalise_tag(_text(value))
    if not tag:
        raise BadValue("expected a tag")
    return tag


def _tags(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list) or not value:
        raise BadValue("expected a list of tags that is not empty")
    return [_tag(tag) for tag in value]


def _true_or_false(value: Any) -> bool:
    words = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise BadValue("expected true or false")


def _whole(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**9:
        raise BadValue("expected a whole number from 0 to 999,999,999")
    return int(value)


def _days(value: Any) -> int:
    days = _whole(value)
    if not 1 <= days <= 36_500:
        raise BadValue("expected 1 to 36,500 days")
    return days


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


# --- The words ------------------------------------------------------------------------------------

_TEXT = {"type": "string", "minLength": 1, "maxLength": TEXT_MAX}
_TAGS = {"type": "array", "items": _TEXT, "minItems": 1}
_BOOLEAN = {"type": "boolean"}
_NUMBER = {"type": "integer", "minimum": 0}
_DAYS = {"type": "integer", "minimum": 1, "maximum": 36_500}
_TIME = {"type": "string", "format": "date-time"}


def _in_folder(folder: str) -> Q:
    """Notes in the folder or below it; the empty folder means those that lie in none."""
    return Q(path__startswith=f"{folder}/") if folder else ~Q(path__contains="/")


def _is(condition: Q) -> Callable[[bool], Q]:
    return lambda wanted: condition if wanted else ~condition


# A note that links to itself is connected with nothing.
_LINKS_OUT = Q(
    Exists(NoteLink.objects.filter(source=OuterRef("pk"), target__isnull=False).exclude(target=OuterRef("pk")))
)
_LINKED_TO = Q(Exists(NoteLink.objects.filter(target=OuterRef("pk")).exclude(source=OuterRef("pk"))))


def _since(field: str) -> Callable[[int], Q]:
    return lambda days: Q(**{f"{field}__gte": Now() - Value(timedelta(days=days))})


VOCABULARY: dict[str, Filter] = {
    "folder": Filter("in folder", {"type": "string"}, _folder, _in_folder),
    "path_prefix": Filter("path starts with", _TEXT, _text, lambda v: Q(path__startswith=v)),
    "tag": Filter("has the tag", _TEXT, _tag, lambda v: Q(tags__contains=[v])),
    "tag_any": Filter("has any of the tags", _TAGS, _tags, lambda v: Q(tags__overlap=v)),
    "tag_all": Filter("has all of the tags", _TAGS, _tags, lambda v: Q(tags__contains=v)),
    "untagged": Filter("has no tags", _BOOLEAN, _true_or_false, _is(Q(tags=[]))),
    "title_contains": Filter("title contains", _TEXT, _text, lambda v: Q(title__icontains=v)),
    "body_contains": Filter("text contains", _TEXT, _text, lambda v: Q(body__icontains=v)),
    "text": Filter("matches the search", _TEXT, _text, lambda v: Q(search_vector=search_query(v))),
    "kind": Filter("is of kind", {"enum": list(NoteKind.values)}, _kind, lambda v: Q(kind=v)),
    "has_metadata": Filter("front matter has", _TEXT, _text, lambda v: Q(metadata__has_key=v)),
    "lacks_metadata": Filter("front matter lacks", _TEXT, _text, lambda v: ~Q(metadata__has_key=v)),
    "min_length": Filter(
        "text at least this long", _NUMBER, _whole, lambda v: Q(GreaterThanOrEqual(Length("body"), v))
    ),
    "max_length": Filter("text at most this long", _NUMBER, _whole, lambda v: Q(LessThanOrEqual(Length("body"), v))),
    "created_since": Filter("created since", _TIME, _time, lambda v: Q(created_at__gte=v)),
    "updated_since": Filter("changed since", _TIME, _time, lambda v: Q(updated_at__gte=v)),
    "created_within_days": Filter("created within days", _DAYS, _days, _since("created_at")),
    "updated_within_days": Filter("changed within days", _DAYS, _days, _since("updated_at")),
    "linked": Filter("is linked to by a note", _BOOLEAN, _true_or_false, _is(_LINKED_TO)),
    "orphan": Filter("has no link in or out", _BOOLEAN, _true_or_false, _is(~_LINKED_TO & ~_LINKS_OUT)),
}


# --- Trees ----------------------------------------------------------------------------------------


class ConditionInvalid(Faulty):
    """A condition that means nothing."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("RULE_INVALID", faults)


def condition_faults(tree: Any, path: str = "$") -> list[Fault]:
    """Every fault of `tree`, in reading order; empty for a good one."""
    faults: list[Fault] = []
    count = _walk(tree, path, 1, faults)
    if count > MAX_NODES:
        faults.append(Fault(path, f"has {count} nodes; at most {MAX_NODES}. Split the rule."))
    return faults


def condition_q(tree: Mapping[str, Any]) -> Q:
    """One `Q` over `Note` for a tree. Raises `ConditionInvalid`."""
    faults = condition_faults(tree)
    if faults:
        raise ConditionInvalid(faults)
    return _q(tree)


def _walk(node: Any, path: str, depth: int, faults: list[Fault]) -> int:
    if not isinstance(node, dict):
        faults.append(Fault(path, "expected an object."))
        return 1
    if depth > MAX_DEPTH:
        faults.append(Fault(path, f"nested deeper than {MAX_DEPTH}. Flatten it."))
        return 1
    nodes = 1
    for key, value in node.items():
        where = f"{path}.{key}"
        if key in {"all", "any"}:
            nodes += _walk_list(value, where, depth, faults)
        elif key == "not":
            nodes += _walk(value, where, depth + 1, faults)
        elif key in VOCABULARY:
            nodes += 1
            try:
                VOCABULARY[key].read(value)
            except BadValue as error:
                faults.append(Fault(where, f"{error}."))
        else:
            faults.append(Fault(where, f"unknown. Use all, any, not, {', '.join(VOCABULARY)}."))
    return nodes


def _walk_list(value: Any, path: str, depth: int, faults: list[Fault]) -> int:
    if not isinstance(value, list) or not value:
        faults.append(Fault(path, "expected a list of conditions that is not empty."))
        return 1
    return sum(_walk(item, f"{path}[{i}]", depth + 1, faults) for i, item in enumerate(value))


def _q(node: Mapping[str, Any]) -> Q:
    condition = Q()
    for key, value in node.items():
        if key == "all":
            for item in value:
                condition &= _q(item)
        elif key == "any":
            condition &= _any(value)
        elif key == "not":
            inner = _q(value)
            # The negation of "every note" is no note; an empty ~Q() would mean every note again.
            condition &= ~inner if inner else Q(pk__in=[])
        else:
            word = VOCABULARY[key]
            condition &= word.q(word.read(value))
    return condition


def _any(items: list[Mapping[str, Any]]) -> Q:
    parts = [_q(item) for item in items]
    if not all(parts):
        return Q()  # one of them holds for every note
    either = parts[0]
    for part in parts[1:]:
        either |= part
    return either
