"""The overview's figures of proposals and decisions, counted by the database: a query each, whatever there is."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from django.db import connection
from django.db.models import BooleanField, Count, DateTimeField, Exists, ExpressionWrapper, Func, Q, QuerySet

from automation.models import Run
from kjxlkj.notes.models import Note
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import scoped
from librarian.models import Operation, Via
from librarian.queue import pending_for, under_way_for
from librarian.verdicts import Verdict, verdict_of

# Grouped once for all three, which is most of the work. Questions propose nothing: they are decisions of a day, and say
# nothing of how good a kind or a model is.
_DECISIONS = """
WITH grouped AS MATERIALIZED ({rows})
SELECT day, kind, model, status, edited, by_person, sum(number)::int,
    coalesce(sum(number) FILTER (WHERE kind <> 'defer'), 0)::int
FROM grouped
GROUP BY GROUPING SETS (
    (day, status, edited, by_person), (kind, status, edited, by_person), (model, status, edited, by_person)
)
"""

_TIMES = """
SELECT via, count(*), percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds)
FROM (SELECT via, date_part('epoch', decided_at - shown_at) AS seconds FROM ({rows}) AS shown) AS timed
GROUP BY GROUPING SETS ((via), ())
"""


class _Day(Func):
    """Its first moment in UTC. For a hundred thousand rows the name of a time zone takes longer than all the rest."""

    template = "date_bin('1 day', %(expressions)s, '2000-01-01 00:00+00')"
    output_field = DateTimeField()


# The ways that lead over a page, which alone knows since when it is looked at.
PAGES = (Via.KEY, Via.CLICK, Via.BULK)
TIMED = Q(shown_at__isnull=False, via__in=PAGES)

Key = TypeVar("Key")
Counts = dict[str, int]
"""How many decisions, by verdict."""


@dataclass(frozen=True, slots=True)
class Decisions:
    by_day: dict[date, Counts]
    by_kind: dict[str, Counts]
    by_model: dict[str, Counts]


@dataclass(frozen=True, slots=True)
class Times:
    """Of decisions whose time was measured, in seconds. `via` is empty for all of them together."""

    via: str
    count: int
    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far people have come since the first start."""

    notes: bool
    runs: bool
    under_way: bool
    pending: bool
    decided: bool


def progress(user: User) -> Progress:
    decided = scoped(Operation.objects.filter(decided_at__isnull=False), user)
    there = {
        "notes": scoped(Note.objects.live(), user),
        "runs": scoped(Run.objects.all(), user),
        "under_way": under_way_for(user),
        "pending": pending_for(user),
        "decided": decided,
    }
    asked = User.objects.filter(pk=user.pk)
    found: Any = asked.values(**{name: Exists(rows.order_by()) for name, rows in there.items()}).get()
    return Progress(**found)


def decisions(user: User, since: datetime) -> Decisions:
    found = Decisions({}, {}, {})
    by_person = ExpressionWrapper(Q(decided_by__isnull=False), BooleanField())
    rows = _decided(user, since).annotate(day=_Day("decided_at"), by_person=by_person)
    groups = rows.values("day", "kind", "model", "status", "edited", "by_person").annotate(number=Count("*"))
    for day, kind, model, status, edited, person, number, proposals in _ask(_DECISIONS, groups):
        verdict = verdict_of(status, edited=edited, by_person=person)
        if verdict is None:
            continue
        if day is not None:
            _add(found.by_day, day.date(), verdict, number)
        elif kind is not None:
            _add(found.by_kind, kind, verdict, proposals)
        else:
            _add(found.by_model, model, verdict, proposals)
    return found


def _add(groups: dict[Key, Counts], key: Key, verdict: Verdict, number: int) -> None:
    if number:
        counts = groups.setdefault(key, {})
        counts[verdict] = counts.get(verdict, 0) + number


def times(user: User, since: datetime) -> list[Times]:
    """By way of deciding, keys first; then all together. Empty where nothing was measured."""
    rows = _decided(user, since).filter(TIMED).values("via", "decided_at", "shown_at")
    found = [Times(via or "", count, *marks) for via, count, marks in _ask(_TIMES, rows) if count]
    return sorted(found, key=lambda row: [*PAGES, ""].index(row.via))


def _decided(user: User, since: datetime) -> QuerySet[Operation]:
    return scoped(Operation.objects.filter(decided_at__gte=since).order_by(), user)


def _ask(question: str, rows: QuerySet[Any]) -> list[tuple[Any, ...]]:
    """What Django cannot say, of rows that it has chosen."""
    sql, params = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(question.format(rows=sql), params)
        answers: list[tuple[Any, ...]] = cursor.fetchall()
    return answers
