"""The id that ties a request, its log lines, its events and its jobs together."""

import re
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponseBase

from kjxlkj.ids import new_id

_current: ContextVar[str] = ContextVar("request_id", default="")

# What we accept from outside ends up in logs and rows: printable, short, no white space.
_ACCEPTABLE = re.compile(r"[\w.:@+/=-]{1,128}", re.ASCII)


def current_request_id() -> str:
    """The id of the request (or job) at work here; empty outside of both."""
    return _current.get()


def set_request_id(value: str) -> None:
    _current.set(value)


class RequestIdMiddleware:
    """Takes a well-formed `X-Request-ID` or makes one, and returns it with the response."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _ACCEPTABLE.fullmatch(given) else str(new_id())
        token = _current.set(request_id)
        try:
            response = self.get_response(request)
        finally:
            _current.reset(token)
        response["X-Request-ID"] = request_id
        return response
