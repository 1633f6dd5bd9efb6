"""By which way something was asked for, and from where: what the audit tells beside who did it."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from kjxlkj.envelope import is_api


@dataclass(frozen=True, slots=True)
class Origin:
    via: str = "command"
    """api, admin or command."""
    address: str | None = None


_OF_A_COMMAND = Origin()
_current: ContextVar[Origin] = ContextVar("origin", default=_OF_A_COMMAND)


def current_origin() -> Origin:
    """That of the request at work here; outside of requests, a command's."""
    return _current.get()


def address_of(request: HttpRequest) -> str | None:
    """Who asks: the peer, or whom the outermost of our own proxies (`PROXIES`) says that it has seen.

    What stands before that in X-Forwarded-For is whatever somebody wrote there.
    """
    told = [word.strip() for word in request.headers.get("X-Forwarded-For", "").split(",")]
    peer = request.META.get("REMOTE_ADDR", "")
    given = told[-settings.PROXIES] if 0 < settings.PROXIES <= len(told) else ""
    return _valid(given) or _valid(peer)


def _valid(address: str) -> str | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None  # a Unix socket has none
    return str(getattr(found, "ipv4_mapped", None) or found)


class OriginMiddleware:
    """Notes the origin of each request where `current_origin` finds it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        token = _current.set(Origin("api" if is_api(request) else "admin", address_of(request)))
        try:
            return self.get_response(request)
        finally:
            _current.reset(token)
