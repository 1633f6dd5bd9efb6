"""The pages of one attachment in the admin: what it is and who links to it, and its content."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_safe

from kjxlkj.errors import NotFound
from kjxlkj.notes.models import Attachment, Note, NoteLink
from kjxlkj.notes.pages import page
from kjxlkj.notes.serving import as_download, as_picture, is_picture
from kjxlkj.storing import StorageFault
from kjxlkj.workspaces.roles import scoped

_LISTED = 200


@require_GET
def show(request: HttpRequest, attachment_id: UUID) -> HttpResponse:
    attachment = get_object_or_404(_attachments(request), pk=attachment_id)
    same = Attachment.objects.live().filter(workspace=attachment.workspace, sha256=attachment.sha256)
    context = {
        "title": attachment.path.rpartition("/")[2],
        "attachment": attachment,
        "is_picture": is_picture(attachment.path, attachment.size),
        "linked_from": linking_notes(attachment.pk)[: _LISTED + 1],
        "listed": _LISTED,
        "same": same.exclude(pk=attachment.pk).order_by("path")[: _LISTED + 1],
    }
    return page(request, "notes/attachment.html", context)


@require_safe
def file(request: HttpRequest, attachment_id: UUID) -> HttpResponseBase:
    try:
        return as_download(request, get_object_or_404(_attachments(request), pk=attachment_id))
    except NotFound as error:
        raise Http404(error.message) from error
    except StorageFault as fault:
        messages.error(request, fault.message)
        return redirect("admin:notes_attachment_change", attachment_id)


@require_safe
def picture(request: HttpRequest, attachment_id: UUID) -> HttpResponseBase:
    try:
        return as_picture(request, get_object_or_404(_attachments(request), pk=attachment_id))
    except NotFound as error:
        raise Http404(error.message) from error
    except StorageFault as fault:
        return HttpResponse(fault.message, status=HTTPStatus.BAD_GATEWAY, content_type="text/plain; charset=utf-8")


def linking_notes(attachment: Any) -> QuerySet[Note]:
    """The notes that link to it, by path; `attachment` is an id or a reference to an outer query."""
    links = NoteLink.objects.filter(attachment=attachment)
    return Note.objects.live().filter(pk__in=links.values("source")).order_by("path", "pk").only("title", "path")


def _attachments(request: HttpRequest) -> QuerySet[Attachment]:
    return scoped(Attachment.objects.live().select_related("workspace"), request.user)
