"""Errors that a person can act on. No HTTP here: `kjxlkj.api` maps the classes to status codes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


class DomainError(Exception):
    """A refusal with a stable `code`, a `message` (field, fault, remedy) and `details` for machines."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})


class BadRequest(DomainError):
    """The request cannot be read."""


class Unauthenticated(DomainError):
    """Nobody, or nobody that is known, is asking."""


class Forbidden(DomainError):
    """Known to the workspace, but without the right."""


class NotFound(DomainError):
    """Not there, or not to be known about."""


class Conflict(DomainError):
    """The state of things has moved on."""


class TooLarge(DomainError):
    """Over a limit of size."""


class Invalid(DomainError):
    """Understood, and refused."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a structured value: where (a JSON path), and what to do about it."""

    path: str
    message: str


class Faulty(Invalid):
    """Everything that is wrong at once, in `details["faults"]` as `{path, message}`."""

    def __init__(self, code: str, faults: Sequence[Fault]) -> None:
        first = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(code, f"{first.path}: {first.message}{more}", {"faults": [asdict(fault) for fault in faults]})


class RateLimited(DomainError):
    """Too many, too fast."""


class Upstream(DomainError):
    """Somebody else's server failed."""


def field_error(field: str, message: str, *, code: str = "INVALID_FIELD", **details: Any) -> Invalid:
    """An `Invalid` about one field, in the shape every form and API client can show beside that field."""
    return Invalid(code, message, {"field": field, **details})
