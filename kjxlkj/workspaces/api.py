"""Workspaces and their members."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from kjxlkj.api import WorkspaceScoped, acting_user, read_body, read_query, workspace_for
from kjxlkj.errors import NotFound
from kjxlkj.workspaces import services
from kjxlkj.workspaces.models import Membership, User, Workspace
from kjxlkj.workspaces.roles import Right
from kjxlkj.workspaces.serializers import (
    MemberOut,
    MemberRole,
    WorkspaceChange,
    WorkspaceCreate,
    WorkspaceOut,
)

_WORKSPACE_ID = OpenApiParameter("workspace_id", UUID, OpenApiParameter.PATH)
_USER_ID = OpenApiParameter("user_id", UUID, OpenApiParameter.PATH)


class WorkspaceViewSet(WorkspaceScoped, GenericViewSet[Workspace]):
    queryset = Workspace.objects.all()
    serializer_class = WorkspaceOut
    lookup_value_regex = "[^/]+"
    workspace_path = "pk"
    noun = "WORKSPACE"
    ordering = ("slug", "id")

    def list(self, request: Request) -> Response:
        read_query(request)
        return self.get_paginated_response(WorkspaceOut(self.paginate_queryset(self.get_queryset()), many=True).data)

    @extend_schema(request=WorkspaceCreate, responses={201: WorkspaceOut})
    def create(self, request: Request) -> Response:
        """Make a workspace and own it."""
        given = read_body(request, WorkspaceCreate)
        workspace = services.create_workspace(owner=acting_user(request), **given)
        return Response(WorkspaceOut(workspace).data, 201)

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(WorkspaceOut(self.get_object()).data)

    @extend_schema(request=WorkspaceChange, responses=WorkspaceOut)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Rename, archive, reopen, or hand over. For the owner."""
        workspace = self.authorised(Right.OWN)
        changes = read_body(request, WorkspaceChange)
        actor = acting_user(request)
        heir_id = changes.pop("owner_id", None)
        with transaction.atomic():
            if heir_id:
                workspace = services.transfer_ownership(workspace, to=_person(heir_id), actor=actor)
            if changes:
                workspace = services.update_workspace(workspace, actor=actor, **changes)
        return Response(WorkspaceOut(workspace).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Archive: nothing is deleted, everything becomes read-only, and PATCH state=active reopens it."""
        services.archive_workspace(self.authorised(Right.OWN), actor=acting_user(request))
        return Response(status=204)


class MemberViewSet(WorkspaceScoped, GenericViewSet[Membership]):
    queryset = Membership.objects.select_related("user", "workspace")
    serializer_class = MemberOut
    noun = "MEMBER"
    ordering = ("created_at", "id")

    @extend_schema(parameters=[_WORKSPACE_ID])
    def list(self, request: Request, workspace_id: str) -> Response:
        read_query(request)
        workspace = self._workspace(Right.READ)
        rows = self.paginate_queryset(self.get_queryset().filter(workspace=workspace))
        return self.get_paginated_response(MemberOut(rows, many=True).data)

    @extend_schema(parameters=[_WORKSPACE_ID, _USER_ID], request=MemberRole, responses=MemberOut)
    def update(self, request: Request, workspace_id: str, user_id: str) -> Response:
        """Add a person, or change their role."""
        workspace = self._workspace(Right.MEMBERS)
        given = read_body(request, MemberRole)
        member = services.set_member(workspace, _person(user_id), given["role"], actor=acting_user(request))
        return Response(MemberOut(member).data)

    @extend_schema(parameters=[_WORKSPACE_ID, _USER_ID], responses={204: None})
    def destroy(self, request: Request, workspace_id: str, user_id: str) -> Response:
        workspace = self._workspace(Right.MEMBERS)
        person = _person(user_id, User.objects.all())  # one whose account is closed can be removed as well
        services.remove_member(workspace, person.id, actor=acting_user(request))
        return Response(status=204)

    def _workspace(self, right: Right) -> Workspace:
        return workspace_for(acting_user(self.request), self.kwargs["workspace_id"], right)


def _person(user_id: UUID | str, people: QuerySet[User] | None = None) -> User:
    """Of the active people, unless others are given."""
    people = User.objects.filter(is_active=True) if people is None else people
    try:
        user = people.filter(pk=user_id).first()
    except ValidationError:
        user = None
    if user is None:
        raise NotFound("USER_NOT_FOUND", "There is no such person.")
    return user
