"""Notes over HTTP: read the request, check the right, call the service."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from kjxlkj.api import WorkspaceScoped, acting_user, read_body, read_query, workspace_for
from kjxlkj.errors import NotFound
from kjxlkj.notes import services
from kjxlkj.notes.cause import Cause, by
from kjxlkj.notes.history import state_at
from kjxlkj.notes.models import TEXT_FIELDS, CauseKind, Note, NoteLink
from kjxlkj.notes.serializers import (
    FILTER_PARAMETERS,
    BacklinkOut,
    DeletedToo,
    NoteChange,
    NoteCreate,
    NoteEventOut,
    NoteListed,
    NoteOut,
    NoteQuery,
    NoteRollback,
    NoteState,
    NoteTags,
    NoteVersion,
)
from kjxlkj.workspaces.roles import Right

_ORDER = OpenApiParameter("order", str, enum=["path", "title", "-updated_at", "-created_at"], default="path")
_DELETED = OpenApiParameter("deleted", bool, default=False, description="The deleted notes instead of the live ones.")
_VERSION = OpenApiParameter("version", int, OpenApiParameter.PATH)


class NoteViewSet(WorkspaceScoped, GenericViewSet[Note]):
    queryset = Note.objects.select_related("workspace")
    serializer_class = NoteOut
    lookup_value_regex = "[^/]+"
    noun = "NOTE"

    @extend_schema(parameters=[*FILTER_PARAMETERS, _ORDER, _DELETED], responses=NoteListed(many=True))
    def list(self, request: Request) -> Response:
        """Notes without their texts. Every filter given must hold."""
        asked = read_query(request, NoteQuery)
        self.ordering = (asked["order"], "id")
        rows = self.in_workspace(self.get_queryset(), asked.get("workspace_id")).select_related(None)
        rows = rows.filter(asked["condition"], deleted_at__isnull=not asked["deleted"]).defer(*TEXT_FIELDS)
        return self.get_paginated_response(NoteListed(self.paginate_queryset(rows), many=True).data)

    @extend_schema(request=NoteCreate, responses={201: NoteOut})
    def create(self, request: Request) -> Response:
        given = read_body(request, NoteCreate)
        actor = acting_user(request)
        workspace = workspace_for(actor, given.pop("workspace_id"), Right.WRITE)
        note = services.create_note(workspace, services.NewNote(**given), cause=by(actor))
        return Response(NoteOut(note).data, 201)

    @extend_schema(parameters=[DeletedToo], responses=NoteOut)
    def retrieve(self, request: Request, pk: str) -> Response:
        deleted = read_query(request, DeletedToo)["deleted"]
        note = self.get_object()
        if note.deleted_at is not None and not deleted:
            raise NotFound(
                "NOTE_NOT_FOUND", "This note is deleted. Read it with deleted=true, bring it back with POST …/restore."
            )
        return Response(NoteOut(note).data)

    @extend_schema(request=NoteChange, responses=NoteOut)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the fields given. A change that changes nothing is accepted and makes no version."""
        note = self.authorised(Right.WRITE)
        given = read_body(request, NoteChange)
        base_version = given.pop("base_version")
        note = services.update_note(note, base_version=base_version, cause=by(acting_user(request)), **given)
        return Response(NoteOut(note).data)

    @extend_schema(parameters=[NoteVersion], responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete softly. Like any write this names its `base_version`: as a parameter, or in a JSON body (which some
        proxies drop). The deletion is a version too: /restore takes `base_version` + 1."""
        note = self.authorised(Right.WRITE)
        given = read_body(request, NoteVersion) if request.data else read_query(request, NoteVersion)
        services.delete_note(note, base_version=given["base_version"], cause=by(acting_user(request)))
        return Response(status=204)

    @extend_schema(responses=NoteEventOut(many=True))
    @action(detail=True)
    def history(self, request: Request, pk: str) -> Response:
        """Every version, the newest first: who changed which fields when, and why. Of deleted notes as well."""
        read_query(request)
        self.ordering = ("-seq", "id")
        rows = self.paginate_queryset(self.get_object().history.defer("before"))
        return self.get_paginated_response(NoteEventOut(rows, many=True).data)

    @extend_schema(parameters=[_VERSION], responses=NoteState)
    @action(detail=True, url_path="history/(?P<version>[0-9]{1,9})", pagination_class=None)
    def at_version(self, request: Request, pk: str, version: str) -> Response:
        read_query(request)
        state = state_at(self.get_object(), int(version))
        return Response(NoteState({"version": int(version), **state}).data)

    @extend_schema(request=NoteRollback, responses=NoteOut)
    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, pk: str) -> Response:
        """Bring back what the note said at `version`, as a new version."""
        note = self.authorised(Right.WRITE)
        given = read_body(request, NoteRollback)
        cause = Cause(CauseKind.ROLLBACK, acting_user(request), reason=f"Back to version {given['version']}")
        note = services.roll_back_note(
            note, to_version=given["version"], base_version=given["base_version"], cause=cause
        )
        return Response(NoteOut(note).data)

    @extend_schema(request=NoteVersion, responses=NoteOut)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: str) -> Response:
        """Undelete. A deleted note's version is the one it was deleted at + 1."""
        note = self.authorised(Right.WRITE)
        given = read_body(request, NoteVersion)
        note = services.restore_note(note, base_version=given["base_version"], cause=by(acting_user(request)))
        return Response(NoteOut(note).data)

    @extend_schema(responses=BacklinkOut(many=True))
    @action(detail=True)
    def backlinks(self, request: Request, pk: str) -> Response:
        """Links in other notes (and its own) that mean this one."""
        read_query(request)
        self.ordering = ("source_id", "position")
        links = NoteLink.objects.filter(target=self.get_object()).select_related("source")
        rows = self.paginate_queryset(
            links.only("id", "source_id", "position", "kind", "raw", "heading", "text", "source__title", "source__path")
        )
        return self.get_paginated_response(BacklinkOut(rows, many=True).data)

    @extend_schema(request=NoteTags, responses=NoteOut)
    @action(detail=True, methods=["put"])
    def tags(self, request: Request, pk: str) -> Response:
        """Replace the tags by the set given."""
        note = self.authorised(Right.WRITE)
        given = read_body(request, NoteTags)
        note = services.retag_note(
            note, given["tags"], base_version=given["base_version"], cause=by(acting_user(request))
        )
        return Response(NoteOut(note).data)
