"""The pages of one note in the admin: reading, editing, deleting. Its versions: `notes.version_pages`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import BadRequest as BadForm
from django.core.exceptions import PermissionDenied
from django.forms import ChoiceField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kjxlkj.errors import Conflict, DomainError, Forbidden
from kjxlkj.notes import services
from kjxlkj.notes.addresses import with_addresses
from kjxlkj.notes.cause import by
from kjxlkj.notes.forms import NoteForm
from kjxlkj.notes.history import differing, state_at
from kjxlkj.notes.line_ends import with_line_ends_of
from kjxlkj.notes.models import Note, NoteLink
from kjxlkj.notes.timeline import timeline
from kjxlkj.workspaces.models import Workspace
from kjxlkj.workspaces.roles import Right, may, require, scoped
from kjxlkj.workspaces.scoped_admin import actor, show_refusal

_LINKS = 200
# Rendering costs some seconds for the largest note; nobody reads that much on one page.
_SHOWN = 50_000


@require_GET
def show(request: HttpRequest, note_id: UUID) -> HttpResponse:
    note = note_of(request, note_id)
    before = request.GET.get("before", "")
    entries, older = timeline(note, before=int(before) if _is_number(before) else None)
    links = note.links.select_related("target", "attachment").only(
        "source", "raw", "kind", "text", "target", "target__title", "target__path", "attachment", "attachment__path"
    )
    incoming = NoteLink.objects.filter(target=note, source__deleted_at__isnull=True).exclude(source=note)
    context = {
        "title": note.title,
        "note": note,
        "text": with_addresses(note.body[:_SHOWN], note),
        "cut": len(note.body) > _SHOWN,
        "links": links[: _LINKS + 1],
        "backlinks": incoming.order_by("source__path")
        .values("source_id", "source__title", "source__path")
        .distinct()[: _LINKS + 1],
        "listed": _LINKS,
        "timeline": entries,
        "older": older,
        "may_write": may(actor(request), note.workspace, Right.WRITE),
    }
    return page(request, "notes/note.html", context)


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    workspaces = scoped(Workspace.objects.filter(state="active"), user, Right.WRITE, path="pk")
    form = NoteForm(request.POST or None, initial={"base_version": 1})
    form.fields["workspace"] = ChoiceField(choices=list(workspaces.values_list("slug", "name")))
    form.order_fields(["workspace"])
    if form.is_valid():
        given = form.cleaned_data
        try:
            workspace = workspaces.get(slug=given["workspace"])
            new = services.NewNote(given["title"], given["body"], given["path"], given["tags"])
            note = services.create_note(workspace, new, cause=by(user))
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, f"“{note.title}” is written.")
            return redirect("admin:notes_note_change", note.pk)
    return page(request, "notes/edit.html", {"title": "New note", "form": form})


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, note_id: UUID) -> HttpResponse:
    """A note that has moved on is shown beside what was typed, which stays."""
    note = note_of(request, note_id)
    _require_write(request, note)
    initial = {"title": note.title, "path": note.path, "tags": note.tags, "body": note.body}
    form = NoteForm(request.POST or None, initial={**initial, "base_version": note.version})
    context: dict[str, Any] = {"title": f"Edit {note.title}", "note": note, "form": form}
    if form.is_valid():
        given = dict(form.cleaned_data)
        base_version = given.pop("base_version")
        given["body"] = with_line_ends_of(note.body, given["body"])
        if given["path"] == note.path.strip():
            given["path"] = note.path  # a file's name may begin or end with a space; a form's fields do not
        try:
            services.update_note(note, base_version=base_version, cause=by(actor(request)), **given)
        except Conflict as error:
            if error.code != "VERSION_CONFLICT":
                show_refusal(form, error)
            else:
                context |= _conflict(form, note)
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, f"“{given['title']}” is saved.")
            return redirect("admin:notes_note_change", note.pk)
    return page(request, "notes/edit.html", context)


@require_POST
def delete(request: HttpRequest, note_id: UUID) -> HttpResponse:
    return write(request, note_of(request, note_id), "Deleted. It can be restored.", services.delete_note)


@require_POST
def restore(request: HttpRequest, note_id: UUID) -> HttpResponse:
    return write(request, note_of(request, note_id), "Restored.", services.restore_note)


# --- Steps ----------------------------------------------------------------------------------------


def note_of(request: HttpRequest, note_id: UUID) -> Note:
    return get_object_or_404(scoped(Note.objects.select_related("workspace"), request.user), pk=note_id)


def _require_write(request: HttpRequest, note: Note) -> None:
    try:
        require(actor(request), note.workspace, Right.WRITE)
    except Forbidden as error:
        raise PermissionDenied(error.message) from error


def write(request: HttpRequest, note: Note, done: str, service: Any, **options: Any) -> HttpResponse:
    _require_write(request, note)
    options.setdefault("cause", by(actor(request)))
    try:
        service(note, base_version=number(request, "base_version"), **options)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, done)
    return redirect("admin:notes_note_change", note.pk)


def number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    if not _is_number(text):
        raise BadForm(f"{name}: not a number.")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _conflict(form: NoteForm, note: Note) -> dict[str, Any]:
    """What others changed, what saving would change now, and the form again: with what was typed, and what is new
    in the fields that the person left alone."""
    base_version = form.cleaned_data["base_version"]
    note.refresh_from_db()
    base, now = state_at(note, min(base_version, note.version)), state_at(note, note.version)
    touched = form.touched(base)
    entries, older = timeline(note, after=base_version)
    return {
        "conflict": {
            "version": note.version,
            "timeline": entries,
            "older": older,
            "theirs": {"before": base, "after": now, "changed": differing(base, now)},
            "mine": {"before": now, "after": now | touched, "changed": differing(now, now | touched)},
        },
        "form": form.again(now, touched, note.version),
    }


def page(request: HttpRequest, template: str, context: Mapping[str, Any], status: int = 200) -> HttpResponse:
    return render(request, template, {**admin.site.each_context(request), **context}, status=status)
