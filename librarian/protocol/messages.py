"""The two messages as values."""

from dataclasses import dataclass

from librarian.protocol.findings import Notice

KINDS = ("create_note", "rewrite_note", "retitle_note", "relink_note", "retag_note", "defer")
STATUSES = ("ok", "needs_clarification", "rejected")


@dataclass(frozen=True, slots=True)
class Source:
    """A note as it is sent."""

    source_id: str
    path: str
    title: str
    tags: tuple[str, ...]
    kind: str
    body_markdown: str
    is_complete: bool = True
    """Whether `body_markdown` is the whole text, and an answer may hold all of it."""
    related_notes: tuple[str, ...] = ()
    """One line for each: “Title | tags: a, b | opening words”."""
    link_candidates: tuple[str, ...] = ()
    """Names by which a link finds another note."""


@dataclass(frozen=True, slots=True)
class Constraints:
    strict_mode: bool
    max_operations: int
    allow_delete: bool
    allowed_kinds: tuple[str, ...] | None
    """None: the tag is left out, and whatever `strict_mode` allows is allowed. Names without white space."""
    style_profile: str
    taxonomy_closed: bool = False
    """Whether a tag that is added has to be one of `Request.taxonomy`."""


@dataclass(frozen=True, slots=True)
class Request:
    request_id: str
    goal: str
    scope: str
    sources: tuple[Source, ...]
    taxonomy: tuple[str, ...]
    constraints: Constraints
    output_contract: str
    existing_tags: tuple[str, ...] = ()
    """Of the workspace, those of `taxonomy` aside, the best to reuse first."""


@dataclass(frozen=True, slots=True)
class Link:
    text: str
    """As it stands in the note."""
    target: str
    """A title or a path."""


@dataclass(frozen=True, slots=True)
class ProposedOperation:
    """None: no such tag. An empty one says the same, except for `body_markdown`, `tags` and `links`."""

    operation_id: str
    kind: str
    target_note_id: str | None = None
    target_path: str | None = None
    title: str | None = None
    body_markdown: str | None = None
    tags: tuple[str, ...] | None = None
    links: tuple[Link, ...] | None = None
    reason: str = ""
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Response:
    request_id: str
    status: str
    summary: str
    operations: tuple[ProposedOperation, ...] = ()
    excess: tuple[ProposedOperation, ...] = ()
    """Beyond `max_operations`: to be recorded as rejected."""
    warnings: tuple[str, ...] = ()
    """The model's own."""
    notices: tuple[Notice, ...] = ()
    """What the reader bore."""
    reasoning: str = ""
    """What stood before the answer as reasoning, for audit; never interpreted, never written."""
