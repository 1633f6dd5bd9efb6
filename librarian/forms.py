"""Decisions as HTML forms send them, read into those of `librarian.services`."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.http import QueryDict

from kjxlkj.errors import BadRequest
from kjxlkj.notes.forms import MarkdownField, TagsField
from kjxlkj.notes.history import state_at
from kjxlkj.notes.line_ends import with_line_ends_of
from librarian.merge import Merged, merge
from librarian.models import Operation, OperationKind, Via
from librarian.services import APPLY, REJECT, Decision

# One press, one reason: it is kept with the operation.
REJECT_REASONS = ("Wrong", "Not useful", "Right idea, wrong details", "Too risky")

_EDITED: dict[str, tuple[str, ...]] = {
    OperationKind.CREATE: ("title", "tags", "body_markdown"),
    OperationKind.REWRITE: ("body_markdown",),
    OperationKind.RETITLE: ("title",),
    OperationKind.RETAG: ("tags",),
    OperationKind.RELINK: ("links",),
    OperationKind.DEFER: (),
}


class LinksField(forms.Field):
    """Pairs of words and target, sent as equally long lists `link_text` and `link_target`. An emptied one goes."""

    def __init__(self, posted: QueryDict | None) -> None:
        super().__init__(required=False)
        self._posted = posted

    def clean(self, value: Any) -> list[dict[str, str]]:
        posted = self._posted or QueryDict()
        pairs = zip(posted.getlist("link_text"), posted.getlist("link_target"), strict=False)
        links = [{"text": text, "target": target.strip()} for text, target in pairs if text and target.strip()]
        if not links:
            raise forms.ValidationError("No link is left. Reject the operation instead.")
        return links


class EditForm(forms.Form):
    """What a reviewer may alter of a proposal before accepting it: the fields that its kind speaks of."""

    title = forms.CharField(max_length=200)
    tags = TagsField()
    body_markdown = MarkdownField(label="Text")

    def __init__(self, operation: Operation, posted: QueryDict | None = None, *, merged: Merged | None = None) -> None:
        """`merged`: what was proposed, or typed, put together with a text that has changed since: to go on from."""
        initial = {name: getattr(operation, name) for name in ("title", "tags", "body_markdown", "links")}
        if merged:
            initial["body_markdown"] = merged.text
        if merged and posted:
            posted = posted.copy()
            posted["body_markdown"] = merged.text
        self.conflicts = merged.conflicts if merged else None
        # A page may hold the forms of many cards.
        super().__init__(posted, initial=initial, auto_id=f"{operation.id}-%s")
        self.operation = operation
        wanted = set(_EDITED[operation.kind])
        if operation.kind == OperationKind.RELINK and not operation.links:
            wanted = {"body_markdown"}
        if "links" in wanted:
            self.fields["links"] = LinksField(posted)
        for name in set(self.fields) - wanted:
            del self.fields[name]

    def link_rows(self) -> list[dict[str, str]]:
        """As typed, or as proposed."""
        if isinstance(self.data, QueryDict) and self.data:
            texts, targets = self.data.getlist("link_text"), self.data.getlist("link_target")
            return [{"text": text, "target": target} for text, target in zip(texts, targets, strict=False)]
        return self.operation.links or []

    def edits(self) -> dict[str, Any]:
        """The cleaned values; call it on a valid form."""
        edits = dict(self.cleaned_data)
        note = self.operation.target_note
        if note and "body_markdown" in edits:
            proposed, typed = self.operation.body_markdown, edits["body_markdown"]
            same = with_line_ends_of(proposed, typed) == proposed
            edits["body_markdown"] = proposed if same else with_line_ends_of(note.body, typed)
        return edits


def merged_text(operation: Operation, typed: str | None = None, seen: int | None = None) -> Merged | None:
    """Of a rewrite whose note has changed since: both changes in one text, to be edited into shape.

    Of what was proposed; or of what a person `typed` in sight of version `seen` of the note.
    """
    note = operation.target_note
    if note is None or operation.kind != OperationKind.REWRITE:
        return None
    base = state_at(note, min(seen or operation.base_version or 1, note.version))["body"]
    return merge(base, note.body, operation.body_markdown if typed is None else typed)


def read_ids(posted: QueryDict) -> list[UUID]:
    """The operations that a form is about, each once. Raises `BadRequest`."""
    try:
        ids = list(dict.fromkeys(UUID(text) for text in posted.getlist("operation")))
    except ValueError as error:
        raise BadRequest("BAD_REQUEST", "operation: not an id.") from error
    if not ids:
        raise BadRequest("BAD_REQUEST", "operation: name at least one.")
    return ids


def read_decisions(posted: QueryDict, operations: Sequence[Operation]) -> list[Decision]:
    """The one decision of the form, for each of `operations`. Raises `BadRequest`."""
    decision = posted.get("decision", "")
    if decision not in (APPLY, REJECT):
        raise BadRequest("BAD_REQUEST", "decision: use apply or reject.")
    reason = read_reason(posted) if decision == REJECT else ""
    version, via, seconds = _base_version(posted), read_via(posted, Via.KEY, Via.CLICK), read_seconds(posted)
    if version is not None and len(operations) > 1:
        raise BadRequest("BAD_REQUEST", "base_version: belongs to one operation.")
    return [
        Decision(operation.id, decision, reason, base_version=version, via=via, seconds=seconds)
        for operation in operations
    ]


def read_reason(posted: QueryDict) -> str:
    """A preset one, own words, or both."""
    reasons = (text.replace("\0", "").strip() for text in posted.getlist("reject_reason"))
    return "; ".join(filter(None, reasons))[:2000]


def read_via(posted: QueryDict, *allowed: str) -> str:
    via = posted.get("via", "")
    if via not in ("", *allowed):
        raise BadRequest("BAD_REQUEST", f"via: use {' or '.join(allowed)}.")
    return via


def read_seconds(posted: QueryDict) -> float | None:
    """How long it was before the person's eyes; nothing where no script was there to tell."""
    seconds = posted.get("seconds", "")
    try:
        return float(seconds) if seconds else None
    except ValueError as error:
        raise BadRequest("BAD_REQUEST", "seconds: not a number.") from error


def _base_version(posted: QueryDict) -> int | None:
    version = posted.get("base_version", "")
    if version and not (version.isascii() and version.isdigit() and len(version) < 10):
        raise BadRequest("BAD_REQUEST", "base_version: not a number.")
    return int(version) if version else None
