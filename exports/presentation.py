"""What exports and their audit are in words and cells of the admin."""

from collections.abc import Mapping
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from exports.models import AuditEntry, ExportJob, ExportKind
from kjxlkj.jobs.models import JobStatus


def has_file(job: ExportJob) -> bool:
    return job.status == JobStatus.SUCCEEDED and bool(job.file) and job.deleted_at is None


def file_link(job: ExportJob) -> str:
    size = filesizeformat(job.size or 0)
    if not job.file:
        return ""
    if not has_file(job):
        return format_html("{} ({})", job.filename, size)
    link = reverse("admin:exports_exportjob_download", args=[job.pk])
    return format_html(
        '<a href="{}">{}</a> ({}) <span class="path quiet">sha256 {}…</span>',
        link,
        job.filename or "download",
        size,
        job.sha256[:12],
    )


def kept(job: ExportJob) -> str:
    """Until when; empty where there is nothing to keep."""
    if job.deleted_at:
        return f"deleted on {date_format(job.deleted_at, 'j M Y')}"
    if not has_file(job):
        return ""
    return f"kept until {date_format(job.expires_at, 'j M Y')}" if job.expires_at else "kept until there are newer ones"


def verified(job: ExportJob) -> str:
    """Whether a backup is known to come back; empty for everything else."""
    if job.kind != ExportKind.SQL or not job.file:
        return ""
    if job.verified_at is None:
        return "not verified yet"
    if job.verification_json.get("ok"):
        return mark_safe('<strong class="status succeeded">verified</strong>')
    return mark_safe('<strong class="status failed">does not come back</strong>')


def subject_of(entry: AuditEntry) -> str:
    """The file that something was done with, else what it was to be."""
    detail = entry.detail
    kind = detail.get("kind", "")
    label = ExportKind(kind).label if kind in ExportKind.values else "an export"
    return str(detail.get("file") or detail.get("filename") or label)


def extent_of(entry: AuditEntry) -> str:
    """What is to be said of a download besides: that it was a part, or by a link."""
    detail = entry.detail
    if "range" in detail:
        return str(detail["range"])
    return f"by a link for {detail['link_seconds']} s" if "link_seconds" in detail else ""


def contents(told: Mapping[str, Any]) -> list[tuple[str, object]]:
    """A part of what a backup's manifest tells, for people: of tables their rows, of sequences where they stood."""
    return [(name, _in_short(value)) for name, value in sorted(told.items())]


def _in_short(value: Any) -> object:
    if isinstance(value, dict):
        return value.get("rows", "")
    return " to ".join(map(str, dict.fromkeys(value))) if isinstance(value, list) else value
