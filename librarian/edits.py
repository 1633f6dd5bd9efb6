"""A reviewer's own wording put in the place of the librarian's, checked as strictly."""

from collections.abc import Callable, Mapping
from typing import Any

from kjxlkj.errors import field_error
from kjxlkj.notes.checks import check_body, check_tags, check_title
from librarian.merge import check_resolved
from librarian.models import Operation, OperationKind

# What there is to edit in each kind.
EDITABLE: dict[str, tuple[str, ...]] = {
    OperationKind.CREATE: ("title", "body_markdown", "tags"),
    OperationKind.REWRITE: ("body_markdown",),
    OperationKind.RETITLE: ("title",),
    OperationKind.RELINK: ("links", "body_markdown"),
    OperationKind.RETAG: ("tags",),
    OperationKind.DEFER: (),
}


def _links(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise field_error("links", "links: expected a list of {text, target} that is not empty.")
    for link in value:
        if not isinstance(link, Mapping) or set(link) != {"text", "target"}:
            raise field_error("links", "links: each link has a text and a target, and nothing else.")
        if not all(isinstance(part, str) and part.strip() and "\0" not in part for part in link.values()):
            raise field_error("links", "links: neither text nor target may be empty.")
    return [dict(link) for link in value]


def _body(value: object) -> str:
    body = check_body(value)
    check_resolved(body)
    return body


_CHECKS: dict[str, Callable[[object], Any]] = {
    "title": check_title,
    "body_markdown": _body,
    "tags": check_tags,
    "links": _links,
}


def apply_edits(operation: Operation, edits: Mapping[str, Any]) -> None:
    """Set the edited fields on `operation` (unsaved). Raises `DomainError` naming the field at fault."""
    allowed = EDITABLE[operation.kind]
    if {"links", "body_markdown"} <= set(edits):
        raise field_error("links", "edits: give either links or a body_markdown that holds them, not both.")
    for field, value in edits.items():
        if field not in allowed:
            names = ", ".join(allowed) or "nothing"
            raise field_error(field, f"edits.{field}: a {operation.get_kind_display()} lets you edit: {names}.")
        clean = _CHECKS[field](value)
        if clean != getattr(operation, field):
            setattr(operation, field, clean)
            operation.edited = True
            if operation.kind == OperationKind.RELINK and field == "body_markdown":
                operation.links = None
