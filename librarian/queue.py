"""The review queue: which operations wait for whom, page by page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet

from automation.models import Run
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import scoped
from librarian.models import Operation, OperationKind, OperationQuerySet, OperationStatus
from librarian.presentation import for_cards

PAGE_SIZE = 25


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Filters:
    workspace: str = ""
    rule: str = ""
    kind: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Filters":
        """Values that cannot be are left out, as old bookmarks may hold them."""
        kind, workspace = query.get("kind", ""), query.get("workspace", "")
        return cls(
            workspace="" if "\0" in workspace else workspace,
            rule=str(as_uuid(query.get("rule", "")) or ""),
            kind=kind if kind in OperationKind.values else "",
        )

    def as_query(self) -> dict[str, str]:
        values = {"workspace": self.workspace, "rule": self.rule, "kind": self.kind}
        return {name: value for name, value in values.items() if value}

    def apply(self, operations: OperationQuerySet) -> OperationQuerySet:
        lookups = {"workspace": "workspace__slug", "rule": "run__rule_id", "kind": "kind"}
        return operations.filter(**{lookups[name]: value for name, value in self.as_query().items()})


@dataclass(frozen=True, slots=True)
class QueuePage:
    operations: Sequence[Operation]
    filters: Filters
    total: int
    """Pending operations that pass the filters."""
    before: int
    """How many of them come before this page."""
    next_query: str
    workspaces: Sequence[Choice] = field(default_factory=list)
    rules: Sequence[Choice] = field(default_factory=list)
    kinds: Sequence[Choice] = field(default_factory=list)

    @property
    def first(self) -> int:
        return self.before + 1

    @property
    def last(self) -> int:
        return self.before + len(self.operations)


def pending_for(user: User) -> OperationQuerySet:
    return scoped(Operation.objects.pending(), user)


def under_way_for(user: User) -> QuerySet[Run]:
    """Runs of the librarian that may still propose something."""
    runs = Run.objects.unfinished().filter(rule_snapshot__action_json__kind="librarian_structure")
    return scoped(runs, user)


def queue_page(user: User, query: Mapping[str, str]) -> QueuePage:
    """A page after the operation named by `after`, or the first. Decided ones leave the queue, so pages are
    counted from a place in it and not from its start: nothing is skipped while the queue shrinks."""
    filters = Filters.read(query)
    there = facets(pending_for(user))
    waiting = filters.apply(pending_for(user))
    after = as_uuid(query.get("after", ""))
    known = scoped(Operation.objects.all(), user).values("created_at", "run_id", "index")
    place = known.filter(pk=after).first() if after else None
    later = _after(place) if place else Q()
    # Found first, joined afterwards: else everything that waits is joined to everything on its card, and then sorted.
    wanted = list(waiting.filter(later).in_order().values_list("pk", flat=True)[: PAGE_SIZE + 1])
    rows = list(for_cards(Operation.objects.filter(pk__in=wanted)).in_order())
    before = waiting.exclude(later).count() if place else 0
    more = len(rows) > PAGE_SIZE
    shown = rows[:PAGE_SIZE]
    return QueuePage(
        operations=shown,
        filters=filters,
        total=sum(row["number"] for row in there if _passes(row, filters)),
        before=before,
        next_query=urlencode({**filters.as_query(), "after": shown[-1].pk}) if more else "",
        workspaces=choices(there, "workspace__slug", "workspace__name"),
        rules=choices(there, "run__rule_id", "run__rule__name"),
        kinds=choices(there, "kind", "kind", dict(OperationKind.choices)),
    )


def facets(operations: QuerySet[Operation]) -> list[dict[str, Any]]:
    """How many there are, by everything that filters go by: all counts of a page in one statement."""
    columns = ("workspace__slug", "workspace__name", "run__rule_id", "run__rule__name", "kind")
    return list(operations.order_by().values(*columns).annotate(number=Count("pk")))


def choices(
    facets: Iterable[Mapping[str, Any]], value: str, label: str, labels: Mapping[str, str] | None = None
) -> list[Choice]:
    counts: dict[tuple[str, str], int] = {}
    for row in facets:
        name = labels[row[label]] if labels else row[label]
        key = (str(row[value]), name)
        counts[key] = counts.get(key, 0) + row["number"]
    return [Choice(value, name, count) for (value, name), count in sorted(counts.items(), key=lambda item: item[0][1])]


def waiting_by_workspace(user: User) -> list[dict[str, Any]]:
    """slug, name, number of pending operations and the time of the oldest, for workspaces with any."""
    rows = pending_for(user).order_by().values("workspace__slug", "workspace__name")
    return list(rows.annotate(waiting=Count("pk"), oldest=Min("created_at")).order_by("workspace__slug"))


@dataclass(frozen=True, slots=True)
class RunPage:
    run: Run
    operations: Sequence[Operation]
    by_status: Sequence[Choice]
    status: str
    next_after: int | None

    @property
    def counts(self) -> dict[str, int]:
        return {choice.value: choice.count for choice in self.by_status}

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def run_page(run: Run, query: Mapping[str, str]) -> RunPage:
    """Operations of all statuses in the order of the run's answers, after the one with the index `after`."""
    status = query.get("status", "")
    status = status if status in OperationStatus.values else ""
    counted = dict(run.operations.order_by().values_list("status").annotate(Count("pk")))
    operations = Operation.objects.filter(run=run, **({"status": status} if status else {}))
    after = query.get("after", "")
    if after.isascii() and after.isdigit():
        operations = operations.filter(index__gt=min(int(after), 2**31 - 1))
    rows = list(for_cards(operations).order_by("index")[: PAGE_SIZE + 1])
    return RunPage(
        run=run,
        operations=rows[:PAGE_SIZE],
        by_status=[
            Choice(value, str(label), counted[value]) for value, label in OperationStatus.choices if counted.get(value)
        ],
        status=status,
        next_after=rows[PAGE_SIZE - 1].index if len(rows) > PAGE_SIZE else None,
    )


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _after(place: Mapping[str, Any]) -> Q:
    created_at, run_id, index = place["created_at"], place["run_id"], place["index"]
    same_time = Q(created_at=created_at)
    return (
        Q(created_at__gt=created_at)
        | (same_time & Q(run_id__gt=run_id))
        | (same_time & Q(run_id=run_id, index__gt=index))
    )


def _passes(row: Mapping[str, Any], filters: Filters) -> bool:
    return (
        filters.workspace in ("", row["workspace__slug"])
        and filters.rule in ("", str(row["run__rule_id"]))
        and filters.kind in ("", row["kind"])
    )
