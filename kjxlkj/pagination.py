"""Lists in pages. A cursor names the last row seen, so that no page misses or repeats a row while others write."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Field, Model, Q, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from kjxlkj.errors import BadRequest
from kjxlkj.parser import unstorable

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
PARAMETERS = frozenset({"limit", "cursor"})
LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    description="Rows in a page.",
)


def bad_parameter(name: str, message: str) -> BadRequest:
    return BadRequest("BAD_REQUEST", f"{name}: {message}", {"errors": [{"field": name, "message": message}]})


def read_limit(request: Request) -> int:
    """The page's size. Raises `BadRequest`."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= MAX_LIMIT):
        raise bad_parameter("limit", f"expected a number from 1 to {MAX_LIMIT}.")
    return int(text)


def encode_cursor(value: Any) -> str:
    packed = json.dumps(value, separators=(",", ":"), default=str).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(text: str) -> Any:
    """Raises `BadRequest` for what `encode_cursor` did not make."""
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise bad_cursor() from error
    if unstorable(value):
        raise bad_cursor()
    return value


def bad_cursor() -> BadRequest:
    return bad_parameter("cursor", "unknown. Take it from “next” or “previous” of the same list.")


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The row beside which a page begins, by the values of the ordering's fields; `back` pages towards the top."""

    order: tuple[str, ...]
    values: tuple[Any, ...]
    back: bool

    def text(self) -> str:
        return encode_cursor([self.order, self.values, self.back])


class Page(BasePagination):
    """Keyset pages in the order of the view's `ordering` (fields that are never null), ties broken by `id`."""

    request: Request

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: APIView | None = None) -> list[Any]:
        self.request = request
        limit = read_limit(request)
        self.order = _complete(getattr(view, "ordering", None) or queryset.query.order_by or ("id",))
        cursor = self._cursor(queryset.model)
        back = cursor is not None and cursor.back
        order = tuple(_reversed(name) for name in self.order) if back else self.order
        if cursor:
            queryset = queryset.filter(beyond(order, cursor.values))
        rows = list(queryset.order_by(*order)[: limit + 1])
        more = len(rows) > limit
        rows = rows[:limit]
        if back:
            rows.reverse()
        self.next = self._beside(rows, -1, back=False) if back or more else None
        self.previous = self._beside(rows, 0, back=True) if (more if back else cursor) else None
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.next, "previous": self.previous})

    def _cursor(self, model: type[Model]) -> _Cursor | None:
        text = self.request.query_params.get("cursor")
        if not text:
            return None
        match decode_cursor(text):
            case [list(order), list(values), bool(back)] if tuple(order) == self.order and len(values) == len(order):
                return _Cursor(self.order, tuple(map(_read, [model] * len(order), order, values)), back)
        raise bad_cursor()

    def _beside(self, rows: Sequence[Any], position: int, *, back: bool) -> str | None:
        if not rows:
            return None
        values = tuple(getattr(rows[position], name.lstrip("-")) for name in self.order)
        return page_url(self.request, _Cursor(self.order, values, back).text())

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return page_schema(schema)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        return page_parameters()


def page_url(request: Request, cursor: str) -> str:
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor)


def page_schema(results: dict[str, Any]) -> dict[str, Any]:
    url = {"type": "string", "format": "uri", "nullable": True}
    return {
        "type": "object",
        "required": ["results", "next", "previous"],
        "properties": {"results": results, "next": url, "previous": url},
    }


def page_parameters() -> list[dict[str, Any]]:
    cursor = {"type": "string"}
    return [
        {"name": LIMIT.name, "in": LIMIT.location, "schema": LIMIT.type, "description": LIMIT.description},
        {"name": "cursor", "in": "query", "schema": cursor, "description": "From “next” or “previous”."},
    ]


def _complete(order: Sequence[Any]) -> tuple[str, ...]:
    names = tuple(str(name) for name in order)
    return names if names[-1].lstrip("-") in {"id", "pk"} else (*names, "id")


def _reversed(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _read(model: type[Model], name: str, value: Any) -> Any:
    try:
        field = model._meta.get_field(name.lstrip("-"))
        clean = field.to_python(value) if isinstance(field, Field) else value
        if isinstance(clean, datetime):
            clean = clean.astimezone(UTC)  # fails for what lies beyond the calendar, as psycopg would
    except (ValidationError, FieldDoesNotExist, TypeError, ValueError, OverflowError) as error:
        raise bad_cursor() from error
    if clean is None:
        raise bad_cursor()
    return clean


def beyond(order: Sequence[str], values: Sequence[Any]) -> Q:
    """Rows after the one with `values`: (a, b) > (x, y), written so that an index on `a` still gives the start."""
    condition = Q()
    for name, value in reversed(list(zip(order, values, strict=True))):
        field, step = (name[1:], "lt") if name.startswith("-") else (name, "gt")
        tie = Q(**{field: value}) & condition if condition else None
        condition = Q(**{f"{field}__{step}": value})
        if tie:
            condition = Q(**{f"{field}__{step}e": value}) & (condition | tie)
    return condition
