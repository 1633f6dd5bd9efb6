"""From what was proposed to Operation rows: each checked, the refused ones kept with a stable code."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from automation.models import Run
from kjxlkj.errors import DomainError, Invalid
from kjxlkj.notes.checks import check_body, check_path, check_title
from kjxlkj.notes.line_ends import with_line_ends_of
from kjxlkj.notes.markdown import link_key, name_key, parse_links
from kjxlkj.notes.models import Note, NoteKind, NoteName
from kjxlkj.notes.tags import normalise_tags
from librarian.bundles import Excerpt
from librarian.effects import FIELDS, change_key, changes_nothing, values_of
from librarian.models import Exchange, Operation, OperationKind, OperationStatus
from librarian.plan import Plan
from librarian.planning.privacy import why_not
from librarian.protocol import ProposedOperation


class Refused(Invalid):
    """An operation that cannot stand; its code becomes the operation's `reject_code`."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """One operation as answered. `sent`: the notes of its request, which alone it may be about.

    `excess`: it came after the last that the run allows.
    """

    operation: ProposedOperation
    sent: Mapping[UUID, Excerpt]
    exchange: Exchange | None = None
    excess: bool = False


def validated(run: Run, plan: Plan, proposals: Sequence[Proposed]) -> list[Operation]:
    """Unsaved operations in the order of `proposals`; those refused have status rejected and a `reject_code`."""
    operations = [_built(run, index, proposal) for index, proposal in enumerate(proposals)]
    known = _Known.of(run.workspace_id, operations)
    seen: set[tuple[UUID, str]] = set()
    for operation, proposal in zip(operations, proposals, strict=True):
        try:
            _check(operation, proposal, plan, known, seen)
        except DomainError as error:
            operation.status = OperationStatus.REJECTED
            operation.reject_code = error.code
            operation.reject_reason = error.message
        else:
            operation.change_key = change_key(operation)
    return operations


def check_stands(operation: Operation, note: Note) -> None:
    """What may have come to be otherwise since the proposal, or by a reviewer's own wording. Raises `Refused`."""
    if why := why_not(note.metadata, is_local=True):
        raise Refused("TARGET_EXCLUDED", f"The note is kept from librarians by now: {why}. Reject the operation.")
    if operation.kind == OperationKind.RELINK:
        wanted = _link_keys(operation, note)
        _check_targets(wanted, _names_among(note.workspace_id, wanted.keys()))


# --- Building ---------------------------------------------------------------------------------------


def _built(run: Run, index: int, proposal: Proposed) -> Operation:
    given, sent = proposal.operation, proposal.sent
    note = _target(given, sent)
    if given.kind == OperationKind.CREATE:
        note = None
    links = None if given.links is None else [{"text": link.text, "target": link.target} for link in given.links]
    operation = Operation(
        workspace_id=run.workspace_id,
        run=run,
        index=index,
        operation_id=given.operation_id[:100],
        kind=given.kind,
        target_note=note,
        target_path=(note.path if note else given.target_path or "")[:1024],
        title=(given.title or "")[:1000],
        body_markdown=_body(given, note),
        tags=None if given.tags is None else [tag[:200] for tag in given.tags],
        links=links,
        reason=given.reason,
        confidence=given.confidence,
        base_version=note.version if note else None,
        exchange=proposal.exchange,
        model=proposal.exchange.model if proposal.exchange else "",
    )
    operation.fingerprint = _fingerprint(operation, note)
    return operation


def _body(given: ProposedOperation, note: Note | None) -> str:
    """A model answers with LF, whatever it read: the note keeps its line ends."""
    text = given.body_markdown or ""
    return with_line_ends_of(note.body, text) if note and text and FIELDS[given.kind] == "body" else text


def _target(given: ProposedOperation, sent: Mapping[UUID, Excerpt]) -> Note | None:
    """The note that an operation names: by its id, or where it gives none by its path."""
    for excerpt in sent.values():
        if given.target_note_id == str(excerpt.note.id):
            return excerpt.note
    by_path = {excerpt.note.path: excerpt.note for excerpt in sent.values() if excerpt.note.path}
    return by_path.get(given.target_path or "")


def _fingerprint(operation: Operation, note: Note | None) -> str:
    """The proposal together with what it would replace: the same again is recognised while neither changes."""
    field = FIELDS[operation.kind]
    parts = [
        operation.kind,
        str(note.id) if note else operation.target_path,
        operation.title,
        operation.body_markdown,
        sorted(operation.tags or []),
        operation.links,
        getattr(note, field) if note and field else None,
    ]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode(errors="replace")).hexdigest()


# --- Checking ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Known:
    """What checks have to know of the workspace, read in three queries for any number of operations."""

    names: Collection[str]
    paths: Collection[str]
    # Fingerprint → status of the same proposal made before: rejected by a person, or still waiting for one.
    before: Mapping[str, str]

    @classmethod
    def of(cls, workspace_id: UUID, operations: Sequence[Operation]) -> "_Known":
        keys = {key for operation in operations for key in _link_keys(operation, operation.target_note)}
        created = {operation.target_path for operation in operations if operation.kind == OperationKind.CREATE}
        paths = {path for path in created if "\0" not in path}  # PostgreSQL knows no such text; a check refuses it
        earlier = Operation.objects.filter(
            workspace_id=workspace_id, fingerprint__in={operation.fingerprint for operation in operations}
        ).exclude(status=OperationStatus.REJECTED, decided_by__isnull=True)
        return cls(
            names=_names_among(workspace_id, keys),
            paths=set(
                Note.objects.live().filter(workspace_id=workspace_id, path__in=paths).values_list("path", flat=True)
            ),
            before=dict(earlier.values_list("fingerprint", "status")),
        )


def _names_among(workspace_id: UUID, keys: Collection[str]) -> set[str]:
    return set(NoteName.objects.filter(workspace_id=workspace_id, key__in=keys).values_list("key", flat=True))


def _link_keys(operation: Operation, note: Note | None) -> dict[str, str]:
    """Key → target as written, of the links that the operation would add to `note`."""
    if operation.links:
        return {name_key(link["target"].partition("#")[0]): link["target"] for link in operation.links}
    if operation.kind != OperationKind.RELINK or note is None:
        return {}
    there = {link_key(link, note.path) for link in parse_links(note.body)}
    proposed = {link_key(link, note.path): link.target for link in parse_links(operation.body_markdown)}
    return {key: target for key, target in proposed.items() if key not in there}


def _check(
    operation: Operation,
    proposal: Proposed,
    plan: Plan,
    known: _Known,
    seen: set[tuple[UUID, str]],
) -> None:
    if operation.kind not in plan.kinds:
        raise Refused("KIND_NOT_ALLOWED", f"The rule does not allow {operation.kind}.")
    if proposal.excess:
        raise Refused("TOO_MANY_OPERATIONS", "More operations than the rule allows in one run.")
    if operation.kind == OperationKind.CREATE:
        _check_new(operation, plan, known)
    else:
        _check_existing(operation, proposal, plan, known)
    if operation.confidence < plan.min_confidence:
        raise Refused("CONFIDENCE_TOO_LOW", f"The rule wants a confidence of {plan.min_confidence:g} at the least.")
    _check_memory(operation, known)
    # Last: an operation that is refused takes no field from another.
    _take_field(operation, seen)


def _check_new(operation: Operation, plan: Plan, known: _Known) -> None:
    check_path(operation.target_path)
    check_title(operation.title or operation.target_path.rpartition("/")[2].removesuffix(".md"))
    check_body(operation.body_markdown)
    _check_within(plan.scope, operation.target_path)
    if operation.target_path in known.paths:
        raise Refused("PATH_TAKEN", f"There is a note at {operation.target_path} already.")
    operation.tags = normalise_tags(operation.tags or [])
    _check_taxonomy(operation.tags, plan)


def _check_within(scope: Mapping[str, Any], path: str) -> None:
    """A new note lies where the rule looks. Of a scope that goes by what notes say, nothing can be told before."""
    folder, prefix = scope.get("folder"), scope.get("path_prefix", "")
    if (folder and not path.startswith(f"{folder.strip('/')}/")) or not path.startswith(prefix):
        raise Refused("OUTSIDE_SCOPE", f"The rule looks no further than {folder or prefix}, and {path} lies outside.")


def _check_existing(operation: Operation, proposal: Proposed, plan: Plan, known: _Known) -> None:
    excerpt = proposal.sent.get(operation.target_note_id) if operation.target_note_id else None
    if excerpt is None:
        raise Refused("TARGET_UNKNOWN", "The target is none of the notes that were sent with this request.")
    if excerpt.is_cut and operation.body_markdown and operation.kind in {OperationKind.REWRITE, OperationKind.RELINK}:
        raise Refused("TARGET_CUT", "The note was too long to be sent whole: a new text of it would lose the rest.")
    note = excerpt.note
    if note.kind != NoteKind.MARKDOWN:
        raise Refused("TARGET_NOT_MARKDOWN", f"The target is of kind {note.kind}.")
    _CHECKS[operation.kind](operation, note, plan, known)
    if operation.kind != OperationKind.DEFER and changes_nothing(operation, note):
        raise Refused("NO_CHANGE", "The note says so already.")


def _take_field(operation: Operation, seen: set[tuple[UUID, str]]) -> None:
    field, note_id = FIELDS[operation.kind], operation.target_note_id
    if not field or note_id is None:
        return
    if (note_id, field) in seen:
        raise Refused("FIELD_TAKEN", f"Another operation of this run changes the {field} of this note already.")
    seen.add((note_id, field))


def _check_memory(operation: Operation, known: _Known) -> None:
    match known.before.get(operation.fingerprint):
        case OperationStatus.REJECTED:
            raise Refused("REJECTED_BEFORE", "A person rejected the same proposal, and the note has not changed since.")
        case OperationStatus.PENDING:
            raise Refused("ALREADY_PENDING", "The same proposal of an earlier run still waits for review.")


def _check_rewrite(operation: Operation, note: Note, plan: Plan, known: _Known) -> None:
    check_body(operation.body_markdown)
    before, after = Counter(note.body.split()), Counter(operation.body_markdown.split())
    kept, words = (before & after).total(), before.total()
    if 2 * kept < words:
        operation.warnings = [f"Loses more than half of the text: {words - kept:,} of {words:,} words."]


def _check_retitle(operation: Operation, note: Note, plan: Plan, known: _Known) -> None:
    operation.title = check_title(operation.title)


def _check_retag(operation: Operation, note: Note, plan: Plan, known: _Known) -> None:
    operation.tags = normalise_tags(operation.tags or [])
    _check_taxonomy(set(operation.tags) - set(note.tags), plan)


def _check_taxonomy(added: Collection[str], plan: Plan) -> None:
    outside = sorted(set(added) - set(normalise_tags(plan.taxonomy)))
    if plan.taxonomy_closed and outside:
        raise Refused("TAG_NOT_IN_TAXONOMY", f"Not in the closed taxonomy: {', '.join(outside)}.")


def _check_relink(operation: Operation, note: Note, plan: Plan, known: _Known) -> None:
    _check_targets(_link_keys(operation, note), known.names)
    check_body(values_of(operation, note)["body"])


def _check_targets(wanted: Mapping[str, str], names: Collection[str]) -> None:
    missing = [target for key, target in wanted.items() if key not in names]
    if missing:
        raise Refused("LINK_TARGET_UNKNOWN", f"No note answers to: {', '.join(missing)}.")


def _check_defer(operation: Operation, note: Note, plan: Plan, known: _Known) -> None:
    """A question changes nothing and needs nothing but its reason."""


_CHECKS: dict[str, Any] = {
    OperationKind.REWRITE: _check_rewrite,
    OperationKind.RETITLE: _check_retitle,
    OperationKind.RETAG: _check_retag,
    OperationKind.RELINK: _check_relink,
    OperationKind.DEFER: _check_defer,
}
