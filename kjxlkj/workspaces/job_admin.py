"""The base of the admin pages of jobs: live progress, cancelling and trying again, one by one or many at once."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.views.decorators.http import require_GET, require_POST

from kjxlkj.errors import DomainError
from kjxlkj.jobs import live
from kjxlkj.jobs.models import Job, JobStatus
from kjxlkj.workspaces.list_filters import DaysFilter, LinkedFilter
from kjxlkj.workspaces.roles import Right
from kjxlkj.workspaces.scoped_admin import ScopedAdmin, actor

_NAMED = 5  # of many refusals or ends, told with their names


class ErrorCodeFilter(LinkedFilter):
    title = "error code"
    parameter_name = lookup = "error_code"


class FinishedFilter(DaysFilter):
    title = "ended"
    parameter_name = "finished"
    lookup = "finished_at"


class JobAdmin(ScopedAdmin):
    """A concrete one names its job's services and what its job is called."""

    noun: ClassVar[str]
    cancel: ClassVar[Callable[..., Job]]
    retry: ClassVar[Callable[..., Job]]
    # Of `list_display`, what changes while a job goes on; each is a `live.cell`.
    live_columns: ClassVar[Sequence[str]] = ("state",)
    actions = ["cancel_selected", "retry_selected"]
    ordering = ["-created_at", "-id"]
    change_list_template = "jobs/list.html"
    # One address names the unfinished jobs of a page: it must not grow too long.
    list_max_show_all = ScopedAdmin.list_per_page

    def name_of(self, job: Any) -> str:
        raise NotImplementedError

    def page_context(self, request: HttpRequest, job: Any) -> dict[str, Any]:
        """What the job's own page shows besides its progress."""
        return {}

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return self._has(request, Right.MANAGE)

    @admin.display(description="status", ordering="status")
    def state(self, job: Job) -> SafeString:
        return live.cell("state", job.pk, render_to_string("jobs/_state.html", {"job": job}))

    # --- Pages ------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None)
        if context and "cl" in context:
            context["poll_url"] = live.poll_url(self._url("live"), context["cl"].result_list)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if job is not None:
            manages = self._has(request, Right.MANAGE, job)
            context |= {
                "title": f"{capfirst(self.noun)} of {self.name_of(job)}",
                "subtitle": None,
                "job": job,
                "noun": self.noun,
                "poll_url": live.poll_url(self._url("progress", job.pk), [job]),
                "may_cancel": manages and not job.is_finished,
                "may_retry": manages and job.status == JobStatus.FAILED,
                "cancel_url": self._url("cancel", job.pk),
                "retry_url": self._url("retry", job.pk),
                **self.page_context(request, job),
            }
        return super().change_view(request, object_id, form_url, context)

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
            full_name = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
            return path(route, self.admin_site.admin_view(view), name=full_name)

        return [
            page("live/", require_GET(self.live_view), "live"),
            page("<uuid:job_id>/progress/", require_GET(self.progress_view), "progress"),
            page("<uuid:job_id>/cancel/", require_POST(self.cancel_view), "cancel"),
            page("<uuid:job_id>/retry/", require_POST(self.retry_view), "retry"),
            *super().get_urls(),
        ]

    def _url(self, name: str, *args: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}", args=args)

    # --- Answers to polls -------------------------------------------------------------------------

    def progress_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """What is new of one job; when it has ended, the rest of its page too."""
        job = self.get_queryset(request).filter(pk=job_id).first()
        if job is None or not self.has_view_permission(request, job):
            return live.lost(request, f"This {self.noun} is not there any more, or you may not see it any more.", 404)
        before = live.read(request.GET.getlist("job"))
        if before == [live.seen(job)]:
            return HttpResponse(status=204)
        news = "" if before and before[0].status == job.status else f"{job.get_status_display()}."
        if job.is_finished:
            # The messages stay for the next page that a person opens.
            response = self.change_view(request, str(job_id), extra_context={"news": news, "messages": ()})
            response["HX-Retarget"] = response["HX-Reselect"] = "#job"
            return response
        poll_url = live.poll_url(self._url("progress", job.pk), [job])
        return render(request, "jobs/_progress_answer.html", {"job": job, "news": news, "poll_url": poll_url})

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """What is new of the unfinished jobs of a list's page, in one answer."""
        if not self.has_view_permission(request):
            return live.lost(request, "You may not see this list any more.", 403)
        before = live.read(request.GET.getlist("job"))[: self.list_per_page]
        jobs = {job.pk: job for job in self.get_queryset(request).filter(pk__in=[each.job_id for each in before])}
        changed = [jobs[each.job_id] for each in before if each.job_id in jobs and live.seen(jobs[each.job_id]) != each]
        missing = [each.job_id for each in before if each.job_id not in jobs]
        if before and not changed and not missing:
            return HttpResponse(status=204)
        cells = [getattr(self, column)(job) for job in changed for column in self.live_columns]
        cells += [live.cell("state", job_id, "not there any more, or not for you to see") for job_id in missing]
        context = {
            "poll_url": live.poll_url(self._url("live"), jobs.values()),
            "cells": cells,
            "news": self._ends([job for job in changed if job.is_finished]),
        }
        return render(request, "jobs/_live.html", context)

    def _ends(self, jobs: Sequence[Job]) -> str:
        """For people who cannot see the list: which jobs have ended, and nothing of those that go on."""
        told = [f"{capfirst(self.noun)} of {self.name_of(job)}: {job.get_status_display()}." for job in jobs]
        return " ".join(told) if len(told) <= _NAMED else f"{len(told)} {self.noun}s have ended."

    # --- Buttons ----------------------------------------------------------------------------------

    def cancel_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        job = get_object_or_404(self.get_queryset(request), pk=job_id)
        what = f"The {self.noun} is cancelled."
        if job.status == JobStatus.RUNNING:
            what = f"The {self.noun} is to be cancelled: its worker stops when it next looks."
        self.attempt(request, what, type(self).cancel, job, actor=actor(request))
        return redirect(self._url("change", job_id))

    def retry_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        job = get_object_or_404(self.get_queryset(request), pk=job_id)
        what = f"Tried again as this {self.noun}."
        again = self.attempt(request, what, type(self).retry, job, actor=actor(request))
        return redirect(self._url("change", again.pk if again else job_id))

    @admin.action(description="Cancel the selected", permissions=["manage"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._each(request, queryset, type(self).cancel, "cancelled, or to be so when their workers next look")

    @admin.action(description="Try the selected failed ones again", permissions=["manage"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._each(request, queryset, type(self).retry, "tried again")

    def _each(self, request: HttpRequest, jobs: QuerySet[Any], service: Callable[..., Job], what: str) -> None:
        """Each succeeds or is refused alone; what is refused is counted and named."""
        done, refused = 0, []
        for job in jobs:
            try:
                service(job, actor=actor(request))
            except DomainError as error:
                refused.append(f"{self.name_of(job)} ({job.created_at:%d %b %H:%M:%S}): {error.message}")
            else:
                done += 1
        if done:
            self.message_user(request, f"{done} {self.noun}{'s' if done > 1 else ''}: {what}.", messages.SUCCESS)
        if refused:
            more = f" And {len(refused) - _NAMED} more." if len(refused) > _NAMED else ""
            told = " ".join(refused[:_NAMED])
            self.message_user(request, f"{len(refused)} refused. {told}{more}", messages.WARNING)
