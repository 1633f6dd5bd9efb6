"""The OpenAPI document: what drf-spectacular cannot see by itself, and the page that shows it."""

from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.views import SpectacularSwaggerSplitView


class OurSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]  # registers itself by being defined
    target_class = "kjxlkj.authentication.SessionAuthentication"


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI without the inline style of its stock page, which our Content-Security-Policy forbids."""

    template_name = "api_docs.html"


_ENVELOPE = {
    "type": "object",
    "required": ["code", "message", "details", "request_id"],
    "properties": {
        "code": {"type": "string", "description": "Stable, for programs.", "example": "VERSION_CONFLICT"},
        "message": {"type": "string", "description": "For people: the field, the fault, the remedy."},
        "details": {
            "type": "object",
            "additionalProperties": True,
            "description": "For programs. Faults of a request: `errors`, a list of `field` and `message`.",
        },
        "request_id": {"type": "string", "description": "As in the header X-Request-ID and in the log."},
    },
}


def describe_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Give every operation the one error that they all answer with."""
    result["components"].setdefault("schemas", {})["Error"] = _ENVELOPE
    error = {
        "description": "Any error.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("default", error)
    return result
