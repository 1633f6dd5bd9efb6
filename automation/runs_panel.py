"""Runs on the front page: how many there are now, and which rules fail, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest
from django.urls import reverse

from automation.models import Run
from kjxlkj.jobs.models import JobQuerySet, JobStatus
from kjxlkj.workspaces.list_filters import first_moment
from kjxlkj.workspaces.roles import scoped

_DAYS = 7
_LISTED = 6


@dataclass(frozen=True, slots=True)
class Failure:
    """What fails again and again, a rule with one code: its latest run, and how many there are."""

    run: Run
    count: int

    @property
    def url(self) -> str:
        return _failed(rule=self.run.rule_id, error_code=self.run.error_code)


def context(request: HttpRequest) -> Mapping[str, Any]:
    runs: JobQuerySet[Run] = scoped(Run.objects.order_by(), request.user)
    failures, failed = _failures(runs)
    return {
        **runs.unfinished().aggregate(
            running=Count("pk", filter=Q(status=JobStatus.RUNNING)),
            queued=Count("pk", filter=Q(status=JobStatus.QUEUED)),
        ),
        "running_url": _listed(status__exact=JobStatus.RUNNING),
        "queued_url": _listed(status__exact=JobStatus.QUEUED),
        "failures": failures,
        "failed": failed,
        "failed_url": _failed(),
        "days": _DAYS,
    }


def _failures(runs: QuerySet[Run]) -> tuple[list[Failure], int]:
    """The latest of each sort, newest first, and how many runs failed altogether."""
    failed = runs.filter(status=JobStatus.FAILED, finished_at__gte=first_moment(_DAYS))
    sort = [F("rule"), F("error_code")]
    numbered = failed.annotate(
        place=Window(RowNumber(), partition_by=sort, order_by=F("finished_at").desc()),
        count=Window(Count("pk"), partition_by=sort),
        total=Window(Count("pk")),
    )
    found = list(numbered.filter(place=1).order_by("-finished_at").values("pk", "count", "total")[:_LISTED])
    # Fetched apart: a trace can be long, and each would be sorted with the rest.
    latest = (
        Run.objects.select_related("rule").defer("result_json", "rule_snapshot").in_bulk(row["pk"] for row in found)
    )
    failures = [Failure(latest[row["pk"]], row["count"]) for row in found if row["pk"] in latest]
    return failures, found[0]["total"] if found else 0


def _failed(**more: object) -> str:
    return _listed(status__exact=JobStatus.FAILED, finished=_DAYS, **more)


def _listed(**asked: object) -> str:
    return f"{reverse('admin:automation_run_changelist')}?{urlencode(asked)}"
