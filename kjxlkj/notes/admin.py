"""Notes, as people read, edit and look back at them. Every change goes through `notes.services`."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import F, Func, Model, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from kjxlkj.notes import (
    attachments_admin,  # noqa: F401  registers the lists of attachments
    pages,
    version_pages,
)
from kjxlkj.notes.filters import VOCABULARY, BadValue
from kjxlkj.notes.models import Note, NoteQuerySet
from kjxlkj.notes.search import highlighted, ranked, with_snippets
from kjxlkj.workspaces.roles import Right, scoped
from kjxlkj.workspaces.scoped_admin import ScopedAdmin, WorkspaceFilter

# Choices of a filter: more would be a list to search in, and there is a search.
_CHOICES = 40


class NoteList(ChangeList):
    """The changelist, with snippets of the page's rows when something is searched for."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.query:
            rows: list[Any] = list(self.result_list)
            found = with_snippets(Note.objects.filter(pk__in=[note.pk for note in rows]), self.query)
            snippets = {note.pk: vars(note)["snippet"] for note in found.only("pk")}
            for note in rows:
                note.snippet = snippets.get(note.pk, "")
            self.result_list = cast("QuerySet[Any]", rows)


class _WordFilter(admin.SimpleListFilter):
    """One word of the filter vocabulary."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Note]) -> QuerySet[Note]:
        if not self.value():
            return queryset
        word = VOCABULARY[str(self.parameter_name)]
        try:
            return queryset.filter(word.condition_from_text(str(self.value())))
        except BadValue as error:
            raise IncorrectLookupParameters from error


def _live(request: HttpRequest) -> QuerySet[Note]:
    notes: QuerySet[Note] = scoped(Note.objects.live(), request.user)
    slug = request.GET.get("workspace")
    return notes.filter(workspace__slug=slug) if slug else notes


class FolderFilter(_WordFilter):
    title = parameter_name = "folder"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        top = Func(F("path"), template="split_part(%(expressions)s, '/', 1)")
        names = _live(request).filter(path__contains="/").order_by().values_list(top, flat=True).distinct()
        chosen = request.GET.get("folder", "")
        folders = set(names[:_CHOICES]) | ({chosen} if chosen else set())
        return [(name, name) for name in sorted(folders)]


class TagFilter(_WordFilter):
    title = parameter_name = "tag"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        unnested = Func(F("tags"), function="unnest")
        names = _live(request).order_by().values_list(unnested, flat=True).distinct()
        chosen = request.GET.get("tag", "")
        tags = set(names[:_CHOICES]) | ({chosen} if chosen else set())
        return [(name, name) for name in sorted(tags)]


class UntaggedFilter(_WordFilter):
    title = parameter_name = "untagged"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("true", "without tags"), ("false", "with tags")]


class DeletedFilter(admin.SimpleListFilter):
    title = parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "deleted notes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Note]) -> QuerySet[Note]:
        return queryset.filter(deleted_at__isnull=self.value() != "1")


@admin.register(Note)
class NoteAdmin(ScopedAdmin):
    add_right = change_right = Right.WRITE
    list_display = ["name", "labels", "workspace", "updated_at"]
    list_display_links = None
    list_select_related = ["workspace"]
    list_filter = [WorkspaceFilter, FolderFilter, TagFilter, UntaggedFilter, DeletedFilter]
    search_fields = ["title"]  # Shows the search box; get_search_results decides.
    search_help_text = 'Words, "phrases", or, -without.'
    ordering = ["-updated_at", "pk"]  # Of a search: by rank, see get_search_results.
    sortable_by = ["name", "updated_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Note]:
        return cast(NoteQuerySet, super().get_queryset(request)).without_text()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NoteList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Note], search_term: str
    ) -> tuple[QuerySet[Note], bool]:
        term = search_term.replace("\0", "").strip()
        return (ranked(queryset, term) if term else queryset), False

    @admin.display(description="note", ordering="path")
    def name(self, note: Note) -> SafeString:
        snippet = highlighted(vars(note).get("snippet", ""))
        return format_html(
            '<a class="note" href="{}">{}</a> <span class="path">{}</span><span class="snippet">{}</span>',
            reverse("admin:notes_note_change", args=[note.pk]),
            note.title,
            note.path,
            snippet,
        )

    @admin.display(description="tags")
    def labels(self, note: Note) -> SafeString:
        return format_html_join(" ", '<span class="chip">{}</span>', ((tag,) for tag in note.tags))

    # The pages of one note are ours: a form of Django's would write past the services.

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, view: Any, name: str) -> URLPattern:
            return cast(URLPattern, path(route, self.admin_site.admin_view(view), name=f"notes_note_{name}"))

        return [
            page("add/", pages.add, "add"),
            page("<uuid:note_id>/change/", pages.show, "change"),
            page("<uuid:note_id>/edit/", pages.edit, "edit"),
            page("<uuid:note_id>/version/<int:version>/", version_pages.version, "version"),
            page("<uuid:note_id>/compare/", version_pages.compare, "compare"),
            page("<uuid:note_id>/rollback/", version_pages.roll_back, "rollback"),
            page("<uuid:note_id>/delete/", pages.delete, "delete"),
            page("<uuid:note_id>/restore/", pages.restore, "restore"),
            path("", self.admin_site.admin_view(self.changelist_view), name="notes_note_changelist"),
        ]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
