"""A note's versions in the admin: what one changed, how any two differ, and the way back."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.core.exceptions import BadRequest as BadForm
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET, require_POST

from kjxlkj.notes import services
from kjxlkj.notes.cause import Cause
from kjxlkj.notes.forms import VersionsForm
from kjxlkj.notes.history import NOTHING, differing, state_at
from kjxlkj.notes.models import CauseKind, Note, NoteEvent
from kjxlkj.notes.pages import note_of, number, page, write
from kjxlkj.notes.timeline import SHOWN, timeline
from kjxlkj.workspaces.roles import Right, may
from kjxlkj.workspaces.scoped_admin import actor


@require_GET
def version(request: HttpRequest, note_id: UUID, version: int) -> HttpResponse:
    """What one version changed."""
    note = note_of(request, note_id)
    if not 1 <= version <= note.version:
        raise Http404(f"The note has versions 1 to {note.version}.")
    context = {"title": f"Version {version} of {note.title}", "version": version}
    return _compared(request, note, version - 1, version, context)


@require_GET
def compare(request: HttpRequest, note_id: UUID) -> HttpResponse:
    """How any two versions differ; unless told which, the present one and the one before."""
    note = note_of(request, note_id)
    form = VersionsForm(request.GET or _last_two(note), latest=note.version)
    if not form.is_valid():
        context = {"title": f"Versions of {note.title}", "note": note, "form": form, "recent": _recent(note)}
        return page(request, "notes/version.html", context, status=HTTPStatus.BAD_REQUEST)
    old, new = form.cleaned_data["old"], form.cleaned_data["new"]
    context = {"title": f"Version {old} and version {new} of {note.title}", "form": form}
    return _compared(request, note, old, new, context)


@require_POST
def roll_back(request: HttpRequest, note_id: UUID) -> HttpResponse:
    note = note_of(request, note_id)
    to = number(request, "to_version")
    if not 1 <= to <= note.version:
        raise BadForm(f"to_version: the note has versions 1 to {note.version}.")
    cause = Cause(CauseKind.ROLLBACK, actor(request), reason=f"Back to version {to}")
    return write(request, note, f"Rolled back to version {to}.", services.roll_back_note, cause=cause, to_version=to)


def _compared(request: HttpRequest, note: Note, old: int, new: int, context: Mapping[str, Any]) -> HttpResponse:
    before = state_at(note, old) if old else NOTHING
    after = state_at(note, new)
    entries, older = timeline(note, after=min(old, new), before=max(old, new) + 1)
    may_roll_back = may(actor(request), note.workspace, Right.WRITE) and not note.deleted_at
    shown = {
        "note": note,
        "form": VersionsForm({"old": max(old, 1), "new": new}, latest=note.version),
        "recent": _recent(note),
        "before": before,
        "after": after,
        "changed": differing(before, after),
        "timeline": entries,
        "older": older,
        "ways_back": [seq for seq in (old, new) if may_roll_back and 0 < seq < note.version],
    }
    return page(request, "notes/version.html", {**shown, **context})


def _last_two(note: Note) -> dict[str, int]:
    return {"old": max(note.version - 1, 1), "new": note.version}


def _recent(note: Note) -> QuerySet[NoteEvent]:
    """What is offered to be picked. Any other version can be typed."""
    events = note.history.select_related("actor").only("note", "seq", "created_at", "actor__name", "actor__email")
    return events.order_by("-seq")[:SHOWN]
