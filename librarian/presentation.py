"""Operations as cards: everything a reviewer needs to see of them, in a number of queries that does not grow."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Length

from kjxlkj.notes.markdown import name_key
from kjxlkj.notes.models import Note, NoteEvent, NoteName
from kjxlkj.workspaces.models import User, Workspace, WorkspaceState
from kjxlkj.workspaces.roles import Right, scoped
from librarian.changes import Change, Target, change_of
from librarian.effects import FIELDS
from librarian.models import Operation, OperationKind, OperationQuerySet, OperationStatus
from librarian.rejections import rejection_in_words

# What a note's front matter tells its tools, and reviewers with them. Of all else there, the number.
_FRONT_MATTER = ("librarian", "aliases", "tags")
_LONGEST_WORDS = 120

# Of the joined rows, what no card shows.
_LEFT_OUT = (
    "target_note__body",
    "target_note__front_matter",
    "target_note__search_vector",
    "run__rule_snapshot",
    "run__result_json",
    "run__rule__condition_json",
    "run__rule__action_json",
    "run__report__warnings",
)


@dataclass(frozen=True, slots=True)
class Card:
    operation: Operation
    change: Change
    may_decide: bool
    is_stale: bool = False
    """Somebody else changed the note after the librarian had read it."""
    message: str = ""
    """Why the last decision on it could not be carried out."""
    is_later: bool = False
    """Its change is not worked out yet: the page asks for it when the card comes into view."""

    @property
    def note(self) -> Note | None:
        return self.operation.target_note

    @property
    def is_pending(self) -> bool:
        return self.operation.status == OperationStatus.PENDING

    @property
    def can_accept(self) -> bool:
        """A rewrite of a text that has changed since has to be edited: accepting it would undo that change."""
        return not self.change.problem and not (self.is_stale and self.operation.kind == OperationKind.REWRITE)

    @property
    def has_versions(self) -> bool:
        """Whether what it was made from, what stands now and what it proposes are three texts."""
        return self.is_pending and self.is_stale and self.operation.kind == OperationKind.REWRITE

    @property
    def can_undo(self) -> bool:
        """What a check has rejected stays so."""
        operation = self.operation
        by_person = operation.status == OperationStatus.REJECTED and operation.decided_by_id is not None
        return operation.status == OperationStatus.APPLIED or by_person

    @property
    def can_edit(self) -> bool:
        return self.operation.kind != OperationKind.DEFER

    @property
    def path(self) -> str:
        return self.note.path if self.note else self.operation.target_path

    @property
    def name(self) -> str:
        return self.note.title if self.note else self.operation.title or self.operation.target_path

    @property
    def front_matter(self) -> list[tuple[str, str]]:
        """What the note's front matter says for tools and names, as key and words."""
        metadata = self.note.metadata if self.note else {}
        return [(key, _in_words(metadata[key])) for key in _FRONT_MATTER if metadata.get(key) not in (None, "", [])]

    @property
    def front_matter_besides(self) -> int:
        return len(self.note.metadata) - len(self.front_matter) if self.note else 0

    @property
    def percent(self) -> int:
        return round(100 * self.operation.confidence)

    @property
    def confidence_words(self) -> str:
        return "high" if self.percent >= 85 else "medium" if self.percent >= 60 else "low"

    @property
    def provider(self) -> str:
        report = getattr(self.operation.run, "report", None)
        words = (report.provider_kind, report.model) if report else ()
        return " · ".join(dict.fromkeys(word for word in words if word))

    @property
    def reject_words(self) -> str:
        return rejection_in_words(self.operation.reject_code)


def _in_words(value: object) -> str:
    words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return words if len(words) <= _LONGEST_WORDS else f"{words[:_LONGEST_WORDS]} …"


def for_cards(operations: OperationQuerySet) -> OperationQuerySet:
    """With all that a card shows, bodies of notes apart."""
    joined = ("workspace", "run__rule", "run__report", "target_note", "decided_by", "undone_by", "applied_event")
    return operations.select_related(*joined).defer(*_LEFT_OUT)


def cards(
    operations: Sequence[Operation],
    user: User,
    messages: Mapping[UUID, str] | None = None,
    later: Collection[UUID] = frozenset(),
) -> list[Card]:
    """Cards of operations from `for_cards`. Whoever may not write in a workspace gets them without buttons.

    The changes of those in `later`, which takes time for long texts, are not worked out.
    """
    now = [operation for operation in operations if operation.id not in later]
    _load_bodies(now)
    writable = writable_workspaces(user)
    targets, events = _targets(now), _later_events(operations)
    return [
        Card(
            operation=operation,
            change=Change()
            if operation.id in later
            else change_of(
                operation,
                _as_it_was(operation),
                targets=targets.get(operation.workspace_id, {}),
                base_tags=_base_tags(operation, events.get(operation.id, ())),
            ),
            may_decide=operation.workspace_id in writable,
            is_stale=_moved_on(operation, events.get(operation.id, ())),
            message=(messages or {}).get(operation.id, ""),
            is_later=operation.id in later,
        )
        for operation in operations
    ]


def writable_workspaces(user: User) -> set[UUID]:
    active = Workspace.objects.filter(state=WorkspaceState.ACTIVE)
    return set(scoped(active, user, Right.WRITE, path="pk").values_list("pk", flat=True))


def _as_it_was(operation: Operation) -> Note | None:
    """The note that a change is shown against: as it is now, or, once decided, as it was before."""
    note, event = operation.target_note, operation.applied_event
    if note is None or event is None:
        return note
    former = copy(note)
    for field, value in event.before.items():
        setattr(former, field, value)
    return former


def _load_bodies(operations: Iterable[Operation]) -> None:
    notes = {
        operation.target_note.pk: operation.target_note
        for operation in operations
        if operation.target_note and operation.kind in {OperationKind.REWRITE, OperationKind.RELINK}
    }
    bodies = dict(Note.objects.filter(pk__in=notes).values_list("pk", "body"))
    for operation in operations:
        if operation.target_note_id in bodies and operation.target_note:
            operation.target_note.body = bodies[operation.target_note_id]


def _targets(operations: Iterable[Operation]) -> dict[UUID, dict[str, Target]]:
    """By workspace and name key, the notes that proposed links mean: found as links find them."""
    workspaces: set[UUID] = set()
    keys: set[str] = set()
    for operation in operations:
        for link in operation.links or []:
            workspaces.add(operation.workspace_id)
            keys.add(name_key(link["target"]))
    names = NoteName.objects.filter(workspace_id__in=workspaces, key__in=keys)
    names = names.order_by("-rank", Length("note__path").desc(), "-note_id")
    found: dict[UUID, dict[str, Target]] = {}
    columns = ("workspace_id", "key", "note_id", "note__title", "note__path")
    # In the order of `notes.index`, the other way round: the one that links will mean comes last and stays.
    for workspace_id, key, note_id, title, path in names.values_list(*columns):
        found.setdefault(workspace_id, {})[key] = Target(note_id, title, path)
    return found


def _later_events(operations: Iterable[Operation]) -> dict[UUID, list[NoteEvent]]:
    """By pending operation, what happened to its note after the version that the librarian read, oldest first."""
    behind = [
        operation
        for operation in operations
        if operation.status == OperationStatus.PENDING
        and operation.target_note
        and operation.target_note.version != operation.base_version
    ]
    wanted = Q(pk__in=[])
    for operation in behind:
        wanted |= Q(note_id=operation.target_note_id, seq__gt=operation.base_version or 0)
    # Of the former values the tags alone: bodies would be whole texts.
    later = NoteEvent.objects.filter(wanted).annotate(former_tags=F("before__tags")).defer("before", "reason")
    events = list(later.order_by("seq"))
    return {
        operation.id: [
            event
            for event in events
            if event.note_id == operation.target_note_id and event.seq > (operation.base_version or 0)
        ]
        for operation in behind
    }


def _base_tags(operation: Operation, later: Iterable[NoteEvent]) -> Sequence[str] | None:
    """The tags that the librarian read, where they may differ from the present ones."""
    if operation.kind != OperationKind.RETAG or not operation.target_note:
        return None
    for event in later:
        if "tags" in event.changed:
            return list(vars(event)["former_tags"])
    return None


def _moved_on(operation: Operation, later: Iterable[NoteEvent]) -> bool:
    """As `librarian.services.moved_on`, of events at hand: other fields may be changed by the same run."""
    return any(event.run_id != operation.run_id or FIELDS[operation.kind] in event.changed for event in later)
