"""The pages of one note in the admin: reading, editing, history."""

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import BadRequest as BadForm
from django.core.exceptions import PermissionDenied
from django.forms import ChoiceField
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kjxlkj.errors import Conflict, DomainError, Forbidden
from kjxlkj.notes import services
from kjxlkj.notes.cause import Cause, by
from kjxlkj.notes.forms import NoteForm, with_line_ends_of
from kjxlkj.notes.history import state_at
from kjxlkj.notes.markdown import parse_links
from kjxlkj.notes.models import CauseKind, Note, NoteLink
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.roles import Right, may, require, scoped
from kjxlkj.workspaces.scoped_admin import show_refusal

_HISTORY = 50
_LINKS = 200
# Rendering costs some seconds for the largest note; nobody reads that much on one page.
_SHOWN = 50_000


@require_GET
def show(request: HttpRequest, note_id: UUID) -> HttpResponse:
    note = _note(request, note_id)
    before = request.GET.get("before", "")
    events = note.history.select_related("actor").defer("before").order_by("-seq")
    if before.isascii() and before.isdigit() and len(before) < 10:
        events = events.filter(seq__lt=int(before))
    timeline = list(events[: _HISTORY + 1])
    links = note.links.select_related("target").only(
        "source", "raw", "kind", "text", "target", "target__title", "target__path"
    )
    incoming = NoteLink.objects.filter(target=note, source__deleted_at__isnull=True).exclude(source=note)
    context = {
        "title": note.title,
        "note": note,
        "text": _with_addresses(note.body[:_SHOWN], note),
        "cut": len(note.body) > _SHOWN,
        "links": links[:_LINKS],
        "backlinks": incoming.order_by("source__path")
        .values("source_id", "source__title", "source__path")
        .distinct()[:_LINKS],
        "timeline": timeline[:_HISTORY],
        "older": timeline[_HISTORY - 1].seq if len(timeline) > _HISTORY else None,
        "may_write": may(_user(request), note.workspace, Right.WRITE),
    }
    return _page(request, "notes/note.html", context)


def _with_addresses(text: str, note: Note) -> str:
    """The beginning of the note's text with its links leading to the pages of the notes that they mean."""
    pieces, pos = [], 0
    targets = note.links.order_by("position").values_list("raw", "target_id")[:_LINKS]
    for link, (raw, target_id) in zip(parse_links(text), targets, strict=False):
        if link.raw != raw:
            break  # a fence or comment cut off before its end
        if target_id and link.kind in ("wikilink", "markdown") and link.start >= pos:
            shown = (link.text or link.target).replace("[", "\\[").replace("]", "\\]")
            pieces += [text[pos : link.start], f"[{shown}]({reverse('admin:notes_note_change', args=[target_id])})"]
            pos = link.end
    return "".join(pieces) + text[pos:]


@require_GET
def version(request: HttpRequest, note_id: UUID, version: int) -> HttpResponse:
    """What one version changed."""
    note = _note(request, note_id)
    event = get_object_or_404(note.history.select_related("actor"), seq=version)
    after = state_at(note, version)
    before = state_at(note, version - 1) if version > 1 else dict.fromkeys(after, "")
    context = {
        "title": f"Version {version} of {note.title}",
        "note": note,
        "event": event,
        "before": before,
        "after": after,
        "changed": event.changed if version > 1 else ["title", "body"],
        "may_roll_back": version != note.version and not note.deleted_at,
        "may_write": may(_user(request), note.workspace, Right.WRITE),
    }
    return _page(request, "notes/version.html", context)


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    user = _user(request)
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
    return _page(request, "notes/edit.html", {"title": "New note", "form": form})


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, note_id: UUID) -> HttpResponse:
    """A note that has moved on is shown beside what was typed, which stays."""
    note = _note(request, note_id)
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
            services.update_note(note, base_version=base_version, cause=by(_user(request)), **given)
        except Conflict as error:
            if error.code != "VERSION_CONFLICT":
                show_refusal(form, error)
            else:
                note.refresh_from_db()
                context["conflict"] = note
                context["form"] = _again(form, note.version)
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, f"“{given['title']}” is saved.")
            return redirect("admin:notes_note_change", note.pk)
    return _page(request, "notes/edit.html", context)


@require_POST
def roll_back(request: HttpRequest, note_id: UUID) -> HttpResponse:
    note = _note(request, note_id)
    to = _number(request, "to_version")
    cause = Cause(CauseKind.ROLLBACK, _user(request), reason=f"Back to version {to}")
    return _write(request, note, f"Rolled back to version {to}.", services.roll_back_note, cause=cause, to_version=to)


@require_POST
def delete(request: HttpRequest, note_id: UUID) -> HttpResponse:
    return _write(request, _note(request, note_id), "Deleted. It can be restored.", services.delete_note)


@require_POST
def restore(request: HttpRequest, note_id: UUID) -> HttpResponse:
    return _write(request, _note(request, note_id), "Restored.", services.restore_note)


# --- Steps ----------------------------------------------------------------------------------------


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)  # the admin site lets nobody else in


def _note(request: HttpRequest, note_id: UUID) -> Note:
    return get_object_or_404(scoped(Note.objects.select_related("workspace"), request.user), pk=note_id)


def _require_write(request: HttpRequest, note: Note) -> None:
    try:
        require(_user(request), note.workspace, Right.WRITE)
    except Forbidden as error:
        raise PermissionDenied(error.message) from error


def _write(request: HttpRequest, note: Note, done: str, service: Any, **options: Any) -> HttpResponse:
    _require_write(request, note)
    options.setdefault("cause", by(_user(request)))
    try:
        service(note, base_version=_number(request, "base_version"), **options)
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, done)
    return redirect("admin:notes_note_change", note.pk)


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadForm(f"{name}: not a number.")
    return int(text)


def _again(form: NoteForm, version: int) -> NoteForm:
    """The same form with what was typed, now meant for the present version."""
    data = {**form.data.dict(), "base_version": str(version)} if isinstance(form.data, QueryDict) else {}
    again = NoteForm(data)
    again.is_valid()
    return again


def _page(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    return render(request, template, {**admin.site.each_context(request), **context})
