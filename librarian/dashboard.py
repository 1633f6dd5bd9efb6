"""The librarian's panels on the front page. Every figure leads to the list of what it counts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from kjxlkj.chart import stacked
from kjxlkj.workspaces.list_filters import first_moment
from kjxlkj.workspaces.scoped_admin import actor
from librarian import figures
from librarian.acceptance import percent
from librarian.figures import Counts, Times
from librarian.models import OperationKind, Via
from librarian.operation_admin import KindFilter, VerdictFilter
from librarian.queue import pending_for, waiting_by_workspace
from librarian.verdicts import Verdict

_DAYS = 30
_WORKSPACES = 8
_MODELS = 12

_OF_PEOPLE = [verdict for verdict in Verdict if verdict != Verdict.BY_RULE]
_VIA = {Via.KEY: "By key", Via.CLICK: "By click", Via.BULK: "Many at once", "": "All together"}


@dataclass(frozen=True, slots=True)
class Figure:
    verdict: Verdict
    number: int
    url: str


@dataclass(frozen=True, slots=True)
class Received:
    """What people made of the proposals of one kind or model, and the share that they accepted as it was."""

    label: str
    figures: list[Figure]
    decided: int
    share: str
    url: str


def waiting(request: HttpRequest) -> Mapping[str, Any] | None:
    user = actor(request)
    rows = sorted(waiting_by_workspace(user), key=lambda row: -row["waiting"])
    oldest = pending_for(user).in_order().only("kind", "target_path", "title", "created_at").first()
    if oldest is None and not _progress(request).decided:
        return None
    return {
        "waiting": rows[:_WORKSPACES],
        "others": len(rows[_WORKSPACES:]),
        "total": sum(row["waiting"] for row in rows),
        "oldest": oldest,
    }


def next_steps(request: HttpRequest) -> Mapping[str, Any] | None:
    """In the place of figures, until somebody has decided something."""
    progress = _progress(request)
    return None if progress.decided else {"progress": progress}


def decided(request: HttpRequest) -> Mapping[str, Any] | None:
    if not _progress(request).decided:
        return None
    since = first_moment(_DAYS)
    found = figures.decisions(actor(request), since)
    days = [since.date() + timedelta(days=place) for place in range(_DAYS)]
    times = figures.times(actor(request), since) if settings.REVIEW_TIMES else []
    return {
        "days": _DAYS,
        "chart": stacked((day, {each: found.by_day.get(day, {}).get(each, 0) for each in Verdict}) for day in days),
        "totals": list(_figures(_summed(found.by_day.values()), Verdict, decided=_DAYS)),
        "rows": [(day, list(_figures(found.by_day[day], Verdict, decided=day))) for day in sorted(found.by_day)],
        "verdicts": list(Verdict),
        "of_people": _OF_PEOPLE,
        "received": [
            ("kind", list(_received(found.by_kind, dict(OperationKind.choices), "kind"))),
            ("model", list(_received(found.by_model, {"": "not known"}, "model", kind=KindFilter.proposals))[:_MODELS]),
        ],
        "all_url": _listed(verdict=VerdictFilter.of_people),
        "measured": settings.REVIEW_TIMES,
        "times": [(_VIA[row.via], row, _timed(row)) for row in times],
    }


# --- Figures and where they lead ------------------------------------------------------------------


def _received(groups: Mapping[str, Counts], labels: Mapping[str, str], by: str, **more: object) -> Iterator[Received]:
    """Those that people decided most of first. What a rule applied, and nobody touched, nobody has judged."""
    judged = {key: sum(counts.get(verdict, 0) for verdict in _OF_PEOPLE) for key, counts in groups.items()}
    for key in sorted((key for key in groups if judged[key]), key=lambda key: -judged[key]):
        asked = {by: key, "decided": _DAYS, **more}
        yield Received(
            labels.get(key, key),
            list(_figures(groups[key], _OF_PEOPLE, **asked)),
            judged[key],
            percent(groups[key].get(Verdict.ACCEPTED, 0) / judged[key]),
            _listed(verdict=VerdictFilter.of_people, **asked),
        )


def _figures(counts: Counts, verdicts: Iterable[Verdict], **asked: object) -> Iterator[Figure]:
    for verdict in verdicts:
        yield Figure(verdict, counts.get(verdict, 0), _listed(verdict=verdict.value, **asked))


def _summed(many: Iterable[Counts]) -> Counts:
    summed: Counts = {}
    for counts in many:
        for verdict, number in counts.items():
            summed[verdict] = summed.get(verdict, 0) + number
    return summed


def _timed(row: Times) -> str:
    return _listed(decided=_DAYS, timed="yes", **({"via__exact": row.via} if row.via else {}))


def _listed(**asked: object) -> str:
    return f"{reverse('admin:librarian_operation_changelist')}?{urlencode(asked)}"


# --- Steps ----------------------------------------------------------------------------------------


def _progress(request: HttpRequest) -> figures.Progress:
    """Read once a request, for the panels that it chooses between."""
    if "kjxlkj.progress" not in request.META:
        request.META["kjxlkj.progress"] = figures.progress(actor(request))
    return cast("figures.Progress", request.META["kjxlkj.progress"])
