"""The review queue: which operations wait for whom, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Case, Count, F, Min, Q, QuerySet, TextField, UUIDField, Value, When
from django.db.models.functions import Cast, Length
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from automation.models import Run
from kjxlkj.errors import BadRequest
from kjxlkj.pagination import beyond, decode_cursor, encode_cursor
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import scoped
from librarian.groups import Group, Key, read_groups
from librarian.models import Operation, OperationKind, OperationQuerySet, OperationStatus
from librarian.presentation import Card, cards, for_cards, writable_workspaces
from librarian.queue_filters import KINDS, Facets, Filters, facets

PAGE_SIZE = 25
AGE, RISK = "age", "risk"
# By what entries are sorted: each is computed of all operations of an entry, decided or not.
_ORDERS = {AGE: ("began", "oldest"), RISK: ("risk", "worry", "began", "oldest")}

# Changes of whole texts take time and space: the first cards show them, the others when they are looked at.
_AT_ONCE = 3
_LONG = 6_000
_LATE_KINDS = frozenset({OperationKind.REWRITE, OperationKind.RELINK, OperationKind.CREATE})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins, in a queue as it stood when its first page was read.

    What is proposed later waits for the next time, and what is decided meanwhile still counts for the place of its
    group: else a group would move on when its first is decided, and be met twice.
    """

    sort: str
    began: datetime
    values: tuple[Any, ...]

    def text(self) -> str:
        return encode_cursor([self.sort, self.began, self.values])

    @classmethod
    def read(cls, text: str, sort: str) -> "Place | None":
        """None for what is no place in that order, as an old bookmark may hold."""
        try:
            match decode_cursor(text) if text else None:
                case [str(found), str(began), list(values)] if found == sort and len(values) == len(_ORDERS[sort]):
                    *numbers, oldest, last = values
                    moments = read_moment(began), read_moment(oldest)
                    return cls(sort, moments[0], (*map(float, numbers), moments[1], str(last)))
        except (BadRequest, ValueError, TypeError, OverflowError):
            pass
        return None


@dataclass(frozen=True, slots=True)
class Entry:
    """One or the other: a card by itself, or a group."""

    card: Card | None
    group: Group | None


@dataclass(frozen=True, slots=True)
class QueuePage:
    entries: Sequence[Entry]
    filters: Filters
    sort: str
    single: bool
    facets: Facets
    entry_count: int
    """How many entries the pending operations that pass the filters make."""
    before: int
    """How many of them come before this page."""
    after: str
    """Where the next page begins; empty on the last."""
    writable: int
    """Of the pending operations that pass the filters, those that this person may decide."""

    @property
    def total(self) -> int:
        return self.facets.total

    @property
    def first(self) -> int:
        return self.before + 1

    @property
    def last(self) -> int:
        return self.before + len(self.entries)

    @property
    def has_choices(self) -> bool:
        """Whether anything waits, here or behind other filters."""
        return bool(self.facets.workspaces or self.query)

    @property
    def has_ticks(self) -> bool:
        return any(entry.card and entry.card.may_decide for entry in self.entries)

    @property
    def next_query(self) -> str:
        return urlencode({**self.address, "after": self.after}) if self.after else ""

    @property
    def first_page(self) -> str:
        return f"?{urlencode(self.address)}"

    @property
    def address(self) -> dict[str, str]:
        sort = {"sort": self.sort} if self.sort != AGE else {}
        return {**self.filters.as_query(), **sort, **({"single": "1"} if self.single else {})}

    @property
    def query(self) -> str:
        return urlencode(self.filters.as_query())

    @property
    def query_at_high_confidence(self) -> str:
        return urlencode({**self.filters.as_query(), "confidence": "0.9"})

    @property
    def offers_high_confidence(self) -> bool:
        """Whether it is narrowed to one kind, and not by confidence."""
        some = any(choice.value == "0.9" for choice in self.facets.confidences)
        return bool(self.filters.kind and some and not self.filters.confidence)


def pending_for(user: User) -> OperationQuerySet:
    return scoped(Operation.objects.pending(), user)


def under_way_for(user: User) -> QuerySet[Run]:
    """Runs of the librarian that may still propose something."""
    runs = Run.objects.unfinished().filter(rule_snapshot__action_json__kind="librarian_structure")
    return scoped(runs, user)


def queue_page(user: User, query: QueryDict) -> QueuePage:
    """A page after the place `after`, or the first. A queue always starts at the first that is pending."""
    filters, sort, single = Filters.read(query), _sort_of(query), "single" in query
    place = Place.read(query.get("after", ""), sort)
    began = place.began if place else timezone.now()
    entries = entries_of(filters.apply(_walk(user, place), began), single=single)
    later = beyond(_ORDERS[sort], place.values) if place else None
    # Both at once: how many there are, and how many of them one has passed.
    counts = entries.aggregate(all=Count("waiting"), passed=Count("waiting", filter=~later if later else None))
    if later:
        entries = entries.filter(later)
    rows = list(entries.order_by(*_ORDERS[sort])[: PAGE_SIZE + 1])
    shown = rows[:PAGE_SIZE]
    pending = filters.apply(pending_for(user), began)
    found = facets(pending_for(user), filters, began)
    writable = writable_workspaces(user)
    after = Place(sort, began, tuple(shown[-1][name] for name in _ORDERS[sort])) if len(rows) > PAGE_SIZE else None
    return QueuePage(
        entries=_filled(shown, pending, user, writable, filters),
        filters=filters,
        sort=sort,
        single=single,
        facets=found,
        entry_count=counts["all"],
        before=counts["passed"] if place else 0,
        after=after.text() if after else "",
        writable=sum(count for workspace, count in found.by_workspace.items() if workspace in writable),
    )


def entries_of(walk: OperationQuerySet, *, single: bool) -> QuerySet[Operation, dict[str, Any]]:
    """What `walk` comes to, one row for each entry with something pending: for each group one, if not `single`."""
    alone = F("id") if single else Case(When(change_key="", then=F("id")), output_field=UUIDField())
    risk = Case(*(When(kind=kind, then=Value(float(place))) for place, kind in enumerate(KINDS)))
    worry = Case(When(warnings=[], then=F("confidence") + 2.0), default=F("confidence"))
    pending = Q(status=OperationStatus.PENDING)
    by_entry = walk.order_by().values("workspace_id", "kind", "change_key", alone=alone)
    return by_entry.annotate(
        waiting=Count("pk", filter=pending),
        lead=Min(Cast("id", TextField()), filter=pending),
        risk=Min(risk),
        worry=Min(worry),
        began=Min("created_at"),
        oldest=Min(Cast("id", TextField())),
    ).filter(waiting__gt=0)


def changes_for_later(operations: Sequence[Operation]) -> set[UUID]:
    """Those whose changes a page leaves out at first."""
    return {
        operation.id
        for place, operation in enumerate(operations)
        if operation.kind in _LATE_KINDS and (place >= _AT_ONCE or _length(operation) > _LONG)
    }


def with_lengths(operations: OperationQuerySet) -> OperationQuerySet:
    """With the length of the note's text, which is not loaded, for `changes_for_later`."""
    return operations.annotate(note_length=Length("target_note__body"))


def waiting_by_workspace(user: User) -> list[dict[str, Any]]:
    """slug, name, number of pending operations and the time of the oldest, for workspaces with any."""
    rows = pending_for(user).order_by().values("workspace__slug", "workspace__name")
    return list(rows.annotate(waiting=Count("pk"), oldest=Min("created_at")).order_by("workspace__slug"))


# --- Steps ----------------------------------------------------------------------------------------


def read_moment(text: object) -> datetime:
    """Raises ValueError or OverflowError for what is none, or lies beyond the calendar."""
    moment = parse_datetime(str(text))
    if moment is None or moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


def _sort_of(query: QueryDict) -> str:
    return RISK if query.get("sort") == RISK else AGE


def _walk(user: User, place: Place | None) -> OperationQuerySet:
    if place is None:
        return pending_for(user)
    meanwhile = Q(status=OperationStatus.PENDING) | Q(decided_at__gt=place.began)
    return scoped(Operation.objects.filter(meanwhile, created_at__lte=place.began), user)


def _length(operation: Operation) -> int:
    return max(len(operation.body_markdown), vars(operation).get("note_length") or 0)


def _filled(
    rows: Sequence[dict[str, Any]], pending: OperationQuerySet, user: User, writable: set[UUID], filters: Filters
) -> list[Entry]:
    keys = [_group_key(row) for row in rows]
    groups = read_groups(pending, [key for key in keys if key], writable=writable, query=filters.as_query())
    ids = [UUID(row["lead"]) for row, key in zip(rows, keys, strict=True) if key is None]
    found = {operation.pk: operation for operation in with_lengths(for_cards(Operation.objects.filter(pk__in=ids)))}
    operations = [found[pk] for pk in ids]
    made = {card.operation.pk: card for card in cards(operations, user, later=changes_for_later(operations))}
    entries = [
        Entry(card=None, group=groups.get(key)) if key else Entry(card=made[UUID(row["lead"])], group=None)
        for row, key in zip(rows, keys, strict=True)
    ]
    # A group may have been decided since its row was read.
    return [entry for entry in entries if entry.card or entry.group]


def _group_key(row: dict[str, Any]) -> Key | None:
    """None for an entry that has one operation left to decide."""
    if row["alone"] or row["waiting"] == 1:
        return None
    return Key(row["workspace_id"], row["kind"], row["change_key"])
