"""What was sent where: the ledger, as every member of a workspace may read it. Nobody writes here."""

from collections.abc import Iterable
from typing import Any, cast
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from automation.models import Run
from kjxlkj.notes.models import Note
from kjxlkj.workspaces.list_filters import LinkedFilter, ListFilter
from kjxlkj.workspaces.roles import scoped
from kjxlkj.workspaces.scoped_admin import ScopedAdmin, WorkspaceFilter
from librarian.models import Disclosure, Exchange
from librarian.queue_filters import as_uuid

TITLE = "What was sent where"
# Hosts to choose from: more would be a list to search in.
_HOSTS = 40


class LedgerList(ChangeList):
    """The changelist, with the requests that the page's rows went with."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = cast("QuerySet[Any]", _with_requests(self.result_list))


class HostFilter(ListFilter):
    title = parameter_name = "host"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = scoped(Disclosure.objects.all(), request.user)
        hosts = set(rows.order_by().values_list("host", flat=True).distinct()[:_HOSTS])
        chosen = request.GET.get("host")
        return [(host, host) for host in sorted(hosts | ({chosen} if chosen else set()))]

    def narrowed(self, rows: QuerySet[Disclosure], value: str) -> QuerySet[Disclosure]:
        return rows.filter(host=value)


def _ids(value: str) -> list[UUID]:
    """None for what is no id: the list refuses it."""
    chosen = as_uuid(value)
    return [chosen] if chosen else []


class NoteFilter(LinkedFilter):
    title = parameter_name = "note"
    lookup = "note_id"

    def name_of(self, request: HttpRequest, value: str) -> str:
        titles = scoped(Note.objects.filter(pk__in=_ids(value)), request.user).values_list("title", flat=True)
        return titles.first() or value


class RunFilter(LinkedFilter):
    title = parameter_name = "run"
    lookup = "run_id"

    def name_of(self, request: HttpRequest, value: str) -> str:
        runs = scoped(Run.objects.filter(pk__in=_ids(value)), request.user)
        run = runs.values_list("rule__name", "created_at").first()
        return f"{run[0]}, {run[1]:%d %b %Y %H:%M}" if run else value


@admin.register(Disclosure)
class DisclosureAdmin(ScopedAdmin):
    list_display = ["when", "named", "part", "sent_to", "came_of", "digest", "workspace"]
    list_filter = [WorkspaceFilter, HostFilter, "sent_at", NoteFilter, RunFilter]
    search_fields = ["note__path"]
    search_help_text = "A part of the note's path."
    # Ids are made in the order of time, and indexed.
    ordering = ["-pk"]
    sortable_by = ()
    readonly_fields = ["when", "named", "part", "sha256", "sent_to", "came_of", "workspace"]
    fields = ("when", "named", "part", "sha256", "sent_to", "came_of", "workspace")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Disclosure]:
        rows: QuerySet[Disclosure] = super().get_queryset(request).select_related("note", "workspace")
        own = [field.attname for field in Disclosure._meta.concrete_fields]
        return rows.only(*own, "note__title", "note__path", "workspace__name", "workspace__state")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Disclosure | None:
        found = super().get_object(request, object_id, from_field)
        return _with_requests([found])[0] if found else None

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LedgerList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": TITLE, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        told = {"title": TITLE, "subtitle": None, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, told)

    @admin.display(description="when")
    def when(self, row: Disclosure) -> str:
        return date_format(localtime(row.sent_at), "j M Y H:i:s")

    @admin.display(description="note")
    def named(self, row: Disclosure) -> SafeString:
        return format_html(
            '<a class="note" href="{}">{}</a> <span class="path">{}</span> <a href="{}">version {}</a>',
            reverse("admin:notes_note_change", args=[row.note_id]),
            row.note.title,
            row.note.path,
            reverse("admin:notes_note_version", args=[row.note_id, row.note_version]),
            row.note_version,
        )

    @admin.display(description="sha256 of its text")
    def digest(self, row: Disclosure) -> SafeString:
        return format_html('<code title="{}">{}…</code>', row.sha256, row.sha256[:12])

    @admin.display(description="sent to")
    def sent_to(self, row: Any) -> SafeString:
        model = (row.exchange.answered_model or row.exchange.model) if row.exchange else ""
        return format_html('{}<span class="snippet">{}</span>', row.host, model)

    @admin.display(description="with")
    def came_of(self, row: Any) -> SafeString | str:
        if row.exchange is None:
            return "a run that is cleared away"
        return format_html(
            '<a href="{}">request {}</a> of a <a href="{}">run</a>',
            reverse("admin:review_exchange", args=[row.run_id, row.exchange_id]),
            row.exchange.index,
            reverse("admin:automation_run_change", args=[row.run_id]),
        )


def _with_requests(rows: Iterable[Any]) -> list[Any]:
    """Each row with its `exchange`: None where the run was cleared away, which the ledger outlives."""
    found = list(rows)
    exchanges = Exchange.objects.filter(pk__in=[row.exchange_id for row in found])
    by_id = exchanges.only("run_id", "index", "model", "answered_model").in_bulk()
    for row in found:
        row.exchange = by_id.get(row.exchange_id)
    return found
