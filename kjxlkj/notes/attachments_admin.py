"""Attachments, as people find them: which there are, how large, and which notes link to them."""

import re
from typing import Any, cast

from django.contrib import admin
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from kjxlkj.notes import attachment_pages
from kjxlkj.notes.models import Attachment, NoteLink
from kjxlkj.workspaces.list_filters import ListFilter
from kjxlkj.workspaces.scoped_admin import ScopedAdmin, WorkspaceFilter

# Notes named in the list; the attachment's page has the others.
_NAMED = 3

_KINDS = {
    "pictures": ("pictures", r"\.(png|jpe?g|gif|webp|avif|svg|bmp|tiff?|heic)$"),
    "pdf": ("PDF", r"\.pdf$"),
    "media": ("sound and video", r"\.(mp3|m4a|ogg|oga|wav|flac|mp4|m4v|webm|mov|mkv|ogv)$"),
}


class KindFilter(ListFilter):
    title = parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((kind, label) for kind, (label, _) in _KINDS.items()), ("other", "other")]

    def narrowed(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        if value != "other":
            if value not in _KINDS:
                raise ValueError(value)
            return rows.filter(path__iregex=_KINDS[value][1])
        return rows.exclude(path__iregex="|".join(pattern for _, pattern in _KINDS.values()))


class LinkedFilter(ListFilter):
    title = parameter_name = "linked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "linked from notes"), ("0", "linked from none")]

    def narrowed(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        if value not in {"0", "1"}:
            raise ValueError(value)
        linked = Exists(NoteLink.objects.filter(attachment=OuterRef("pk")))
        return rows.filter(linked if value == "1" else ~linked)


@admin.register(Attachment)
class AttachmentAdmin(ScopedAdmin):
    list_display = ["name", "extent", "digest", "linked_from", "workspace", "updated_at", "download"]
    list_display_links = None
    list_select_related = ["workspace"]
    list_filter = [WorkspaceFilter, KindFilter, LinkedFilter]
    search_fields = ["path"]
    search_help_text = "A part of the path, or the beginning of a SHA-256."
    sortable_by = ["name", "extent", "updated_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attachment]:
        links = NoteLink.objects.filter(attachment=OuterRef("pk")).order_by()
        counted = links.values("attachment").annotate(notes=Count("source", distinct=True)).values("notes")
        named = attachment_pages.linking_notes(OuterRef(OuterRef("pk"))).values(note=JSONObject(id="id", title="title"))
        live: QuerySet[Attachment] = super().get_queryset(request).filter(deleted_at=None).defer("keys")
        return live.annotate(linking=Subquery(counted), linking_notes=ArraySubquery(named[:_NAMED]))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Attachment], search_term: str
    ) -> tuple[QuerySet[Attachment], bool]:
        term = search_term.replace("\0", "").strip()
        found = Q(path__icontains=term)
        if re.fullmatch(r"[0-9a-fA-F]{6,64}", term):
            found |= Q(sha256__startswith=term.lower())
        return queryset.filter(found), False

    @admin.display(description="file", ordering="path")
    def name(self, attachment: Attachment) -> SafeString:
        where = reverse("admin:notes_attachment_change", args=[attachment.pk])
        return format_html('<a class="note" href="{}">{}</a>', where, attachment.path)

    @admin.display(description="size", ordering="size")
    def extent(self, attachment: Attachment) -> SafeString:
        return format_html('<span class="nowrap">{}</span>', filesizeformat(attachment.size))

    @admin.display(description="SHA-256")
    def digest(self, attachment: Attachment) -> SafeString:
        return format_html('<code class="nowrap" title="{}">{}…</code>', attachment.sha256, attachment.sha256[:10])

    @admin.display(description="linked from")
    def linked_from(self, attachment: Attachment) -> SafeString | str:
        named, count = vars(attachment)["linking_notes"], vars(attachment)["linking"] or 0
        links = (
            (reverse("admin:notes_note_change", args=[note["id"]]), Truncator(note["title"]).chars(40))
            for note in named
        )
        listed = format_html_join(", ", '<a href="{}">{}</a>', links)
        more = count - len(named)
        return format_html("{} and {} more", listed, more) if more > 0 else listed or "no note"

    @admin.display(description="content")
    def download(self, attachment: Attachment) -> SafeString:
        where = reverse("admin:notes_attachment_file", args=[attachment.pk])
        return format_html('<a class="nowrap" href="{}" aria-label="Download {}">download</a>', where, attachment.path)

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, view: Any, name: str, *, cacheable: bool = False) -> URLPattern:
            view = self.admin_site.admin_view(view, cacheable)
            return cast(URLPattern, path(route, view, name=f"notes_attachment_{name}"))

        return [
            page("<uuid:attachment_id>/change/", attachment_pages.show, "change"),
            page("<uuid:attachment_id>/file/", attachment_pages.file, "file"),
            page("<uuid:attachment_id>/picture/", attachment_pages.picture, "picture", cacheable=True),
            page("", self.changelist_view, "changelist"),
        ]
