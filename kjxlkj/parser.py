"""Reading request bodies: JSON that PostgreSQL can keep, within limits, or an error in words."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework import parsers

from kjxlkj.errors import BadRequest, TooLarge

MAX_DEPTH = 64

# Neither can be stored: PostgreSQL's text holds no NUL, and a lone surrogate is no character.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class JSONParser(parsers.JSONParser):
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises `TooLarge` PAYLOAD_TOO_LARGE, `BadRequest` BAD_REQUEST."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(
                "PAYLOAD_TOO_LARGE", f"The request is larger than {limit:,} bytes. Send less at once.", {"limit": limit}
            )
        return read_json(raw, "The request")


def read_json(raw: bytes, what: str) -> Any:
    """Raises `BadRequest` BAD_REQUEST, with the place of the fault in `what`."""
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadRequest("BAD_REQUEST", f"{what} is not JSON in UTF-8: {_why(error)}.") from error
    if first := unstorable(value):
        path, fault = first
        raise BadRequest("BAD_REQUEST", f"{path}: {fault}", {"errors": [{"field": path, "message": fault}]})
    return value


def _why(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def unstorable(value: Any) -> tuple[str, str] | None:
    """What of a JSON value PostgreSQL could not keep or even look for: (path, fault), or None."""
    return next(_faults(value), None)


def _faults(value: Any) -> Iterator[tuple[str, str]]:
    """What cannot be stored, with its path. A stack of its own: depth must not depend on Python's."""
    stack: list[tuple[str, int, Any]] = [("", 0, value)]
    while stack:
        path, depth, item = stack.pop()
        if isinstance(item, str):
            if found := _UNSTORABLE.search(item):
                what = "a NUL character" if found[0] == "\0" else "a lone surrogate"
                yield path or "body", f"holds {what} at position {found.start()}. Remove it."
        elif depth > MAX_DEPTH:
            yield path[:100], f"nested deeper than {MAX_DEPTH}. Flatten it."
            return
        elif isinstance(item, dict):
            for key, inner in item.items():
                stack.append(("a name in " + (path or "body"), depth + 1, key))
                stack.append((f"{path}.{key}" if path else key, depth + 1, inner))
        elif isinstance(item, list):
            stack.extend((f"{path}[{i}]", depth + 1, inner) for i, inner in enumerate(item))
