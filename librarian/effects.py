"""What an operation would make of its note: the one translation that validation, review and application share."""

from collections.abc import Mapping, Sequence
from typing import Any

from kjxlkj.errors import DomainError, Invalid
from kjxlkj.notes.markdown import LinkPlacementError, insert_links, only_links_differ
from kjxlkj.notes.models import Note
from kjxlkj.notes.tags import normalise_tags
from librarian.models import Operation, OperationKind

# Which of a note's fields each kind speaks about: two operations of one run may not speak about the same one.
FIELDS: dict[str, str] = {
    OperationKind.CREATE: "",
    OperationKind.REWRITE: "body",
    OperationKind.RETITLE: "title",
    OperationKind.RELINK: "body",
    OperationKind.RETAG: "tags",
    OperationKind.DEFER: "",
}

# These say what to add or take away, so they can be carried over to a note that has changed since.
REBASED = frozenset({OperationKind.RETITLE, OperationKind.RELINK, OperationKind.RETAG})

_LONGEST_KEY = 200  # as its column


def values_of(operation: Operation, note: Note, *, base_tags: Sequence[str] | None = None) -> dict[str, Any]:
    """The note's new field values if `operation` were applied to `note` as it is now; empty for a question.

    `base_tags`: the tags that were read when the new set was proposed, if the note's have changed since; then
    what was added and taken away is carried over. Raises `DomainError` where the operation does not fit the text.
    """
    match operation.kind:
        case OperationKind.REWRITE:
            return {"body": operation.body_markdown}
        case OperationKind.RETITLE:
            names = [*note.aliases, note.title]
            return {"title": operation.title, "aliases": [name for name in names if name != operation.title]}
        case OperationKind.RETAG:
            return {"tags": _carried_over(note.tags, normalise_tags(operation.tags or []), base_tags)}
        case OperationKind.RELINK:
            return {"body": linked_body(note.body, operation.links, operation.body_markdown)}
        case _:
            return {}


def _carried_over(current: Sequence[str], wanted: Sequence[str], base: Sequence[str] | None) -> list[str]:
    if base is None:
        return list(wanted)
    added, removed = set(wanted) - set(base), set(base) - set(wanted)
    return sorted((set(current) | added) - removed)


def linked_body(body: str, links: Sequence[Mapping[str, str]] | None, proposed: str) -> str:
    """`body` with the links put in, or the proposed body if it differs in nothing but links."""
    if links:
        try:
            return insert_links(body, [(link["text"], link["target"]) for link in links])
        except LinkPlacementError as error:
            raise Invalid("LINK_TEXT_MISSING", f"links: {error}. Edit the link, or reject it.") from error
    if not only_links_differ(body, proposed):
        raise Invalid("NOT_ONLY_LINKS", "body_markdown: changes more than links. Propose a rewrite instead.")
    return proposed


def changes_nothing(operation: Operation, note: Note) -> bool:
    """Whether the note says already what the operation proposes."""
    try:
        values = values_of(operation, note)
    except DomainError:
        return False
    return all(getattr(note, field) == value for field, value in values.items() if field != "aliases")


def change_key(operation: Operation) -> str:
    """What `operation`, which fits its note, says of any note alike: the tags that come and go, the links to add.

    Empty where no other note could be told the same, or where it takes too many words.
    """
    note = operation.target_note
    key = ""
    if operation.kind == OperationKind.RETAG and note is not None:
        before, after = set(note.tags), set(operation.tags or ())
        key = " ".join([*(f"+{tag}" for tag in sorted(after - before)), *(f"-{tag}" for tag in sorted(before - after))])
    elif operation.kind == OperationKind.RELINK:
        key = "; ".join(f"{link['text']} → {link['target']}" for link in operation.links or ())
    return key if len(key) <= _LONGEST_KEY else ""
