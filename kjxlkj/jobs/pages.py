"""The page of workers and queues: of the whole instance, and so for superusers alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from kjxlkj.chart import stacked
from kjxlkj.jobs import health, live, overview
from kjxlkj.jobs.models import Job


@dataclass(frozen=True, slots=True)
class Row:
    """A job and where it is looked at; "" where the admin has no page of its kind."""

    job: Job
    url: str

    @property
    def kind(self) -> str:
        return str(self.job._meta.verbose_name)

    @property
    def worker(self) -> str:
        return self.job.lease_owner.rpartition("/")[2]

    @property
    def cluster(self) -> str:
        return self.job.lease_owner.rpartition("/")[0]


@require_GET
def workers(request: HttpRequest) -> HttpResponse:
    asks_again = bool(getattr(request, "htmx", False))
    if not getattr(request.user, "is_superuser", False):
        if asks_again:
            return live.lost(request, "You may not see workers and queues any more.", 403)
        raise PermissionDenied
    context = _context()
    if asks_again:
        return render(request, "jobs/_workers_answer.html", context)
    page = {**admin.site.each_context(request), "title": "Workers and queues", **context}
    return render(request, "jobs/workers.html", page)


def panel(request: HttpRequest) -> Mapping[str, Any]:
    """To superusers what waits and works; to everybody else whether anybody works."""
    clusters = health.clusters()
    if not getattr(request.user, "is_superuser", False):
        return {"is_served": not health.unserved(clusters)}
    queues = overview.queues(clusters)
    return {
        "queued": sum(queue.queued for queue in queues),
        "running": sum(queue.running for queue in queues),
        "unserved": health.unserved(clusters),
    }


def _context() -> dict[str, Any]:
    clusters = health.clusters()
    queues = overview.queues(clusters)
    at_work, retries = overview.at_work(), overview.retries()
    hour = overview.last_hour(timezone.now())
    return {
        "queues": queues,
        "clusters": clusters,
        "unserved": health.unserved(clusters),
        "at_work": _rows(at_work),
        "at_work_count": at_work.count,
        "retries": _rows(retries),
        "retry_count": retries.count,
        "hour": hour,
        "chart": stacked((each, {"succeeded": each.succeeded, "failed": each.failed}) for each in hour.buckets),
        "failures": [(each, _failures_url(each)) for each in hour.failures],
        "poll_url": reverse("admin:workers"),
    }


def _rows(some: overview.Some) -> list[Row]:
    return [Row(job, _admin_url(type(job), "change", job.pk)) for job in some.jobs]


def _failures_url(failures: overview.Failures) -> str:
    url = _admin_url(failures.model, "changelist")
    return url and f"{url}?{urlencode({'status__exact': 'failed', 'error_code': failures.code})}"


def _admin_url(model: type[Job], page: str, *args: Any) -> str:
    """By the model's names alone: which apps have jobs is not known here."""
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)
    except NoReverseMatch:
        return ""
