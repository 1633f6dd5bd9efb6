"""Errors on the wire, always `{"code", "message", "details", "request_id"}`: from DRF, the domain and Django."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from kjxlkj.errors import (
    BadRequest,
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Upstream,
)
from kjxlkj.request_id import current_request_id

_STATUS: dict[type[DomainError], HTTPStatus] = {
    BadRequest: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    Upstream: HTTPStatus.BAD_GATEWAY,
}

_CODES: dict[int, str] = {
    400: "BAD_REQUEST",
    403: "ROLE_FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
}


def envelope(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "details": dict(details or {}),
        "request_id": current_request_id(),
    }


def status_of(error: DomainError) -> HTTPStatus:
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return status
    return HTTPStatus.UNPROCESSABLE_ENTITY


# --- Within DRF -----------------------------------------------------------------------------------


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """What a view raised, as a response. None for a fault of ours: it goes on to `server_error` and the log."""
    if isinstance(error, DomainError):
        return Response(envelope(error.code, error.message, error.details), status_of(error))
    if isinstance(error, RequestDataTooBig):
        return Response(_too_large(), HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is nothing at this address.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    return Response(_api_error(error), error.status_code, headers=_headers(error))


def _api_error(error: exceptions.APIException) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        faults = list(_faults(error.detail))
        message = " ".join(f"{fault['field']}: {fault['message']}" for fault in faults[:5])
        return envelope("BAD_REQUEST", message, {"errors": faults})
    if isinstance(error, exceptions.AuthenticationFailed):
        return envelope("INVALID_CREDENTIALS", f"{error.detail} Log in again.")
    if isinstance(error, exceptions.NotAuthenticated):
        return envelope("AUTH_REQUIRED", "Log in, or send the header “Authorization: Token …”.")
    return envelope(_CODES.get(error.status_code, "BAD_REQUEST"), str(error.detail))


def _faults(detail: Any, field: str = "") -> Iterator[dict[str, str]]:
    """DRF's tree of messages as a flat list; nested fields are joined with dots."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _faults(inner, _joined(field, name))
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _faults(inner, _joined(field, position) if nested else field)
    else:
        yield {"field": field or "body", "message": str(detail)}


def _joined(field: str, name: object) -> str:
    if name == "non_field_errors":
        return field
    return f"{field}.{name}" if field else str(name)


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def _too_large() -> dict[str, Any]:
    return envelope("PAYLOAD_TOO_LARGE", "The request is larger than this instance accepts. Send less at once.")


# --- Outside of DRF: no route, or a fault of ours --------------------------------------------------


def is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/") or request.path == "/api"


def error_json(status: int, code: str, message: str, details: Mapping[str, Any] | None = None) -> JsonResponse:
    return JsonResponse(envelope(code, message, details), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not is_api(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, RequestDataTooBig):
        return JsonResponse(_too_large(), status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return error_json(400, "BAD_REQUEST", "The request cannot be read.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not is_api(request):
        return defaults.permission_denied(request, exception)
    return error_json(403, "ROLE_FORBIDDEN", "You do not have the right to do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not is_api(request):
        return defaults.page_not_found(request, exception)
    return error_json(404, "NOT_FOUND", "There is nothing at this address. /api/docs/ lists what there is.")


def server_error(request: HttpRequest) -> HttpResponse:
    if not is_api(request):
        return defaults.server_error(request)
    return error_json(500, "INTERNAL_ERROR", "Something failed on our side. The request id finds it in the log.")
