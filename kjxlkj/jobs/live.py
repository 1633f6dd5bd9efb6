"""Pages that show jobs as they go on: every few seconds htmx asks what is new, and the last answer ends the asking."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html
from django.utils.safestring import SafeString

from kjxlkj.jobs.models import Job


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page shows of a job: enough to tell whether there is something new. Goes to and fro in addresses."""

    job_id: UUID
    status: str
    at: str

    def __str__(self) -> str:
        return f"{self.job_id.hex}.{self.status}.{self.at}"


def seen(job: Job) -> Seen:
    return Seen(job.pk, job.status, f"{round(job.updated_at.timestamp() * 1_000_000):x}")


def read(marks: Iterable[str]) -> list[Seen]:
    """Those of `marks` that can be read."""
    found = []
    for mark in marks:
        parts = mark.split(".")
        try:
            found.append(Seen(UUID(parts[0]), *parts[1:]))
        except (ValueError, TypeError):
            continue
    return found


def poll_url(address: str, jobs: Iterable[Job]) -> str:
    """Where to ask for news of those that are not finished; "" if they all are."""
    marks = [("job", str(seen(job))) for job in jobs if not job.is_finished]
    return f"{address}?{urlencode(marks)}" if marks else ""


def cell(name: str, job_id: UUID, content: str) -> SafeString:
    """A part of a list's row that the answer to a poll replaces; on the page itself the attribute does nothing."""
    return format_html('<div id="{}-{}" class="{}" hx-swap-oob="true">{}</div>', name, job_id, name, content)


def lost(request: HttpRequest, message: str, status: int) -> HttpResponse:
    """To a page that may not ask any more: it says so, and asks no more."""
    return render(request, "jobs/_lost.html", {"message": message}, status=status)
