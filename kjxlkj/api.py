"""What every endpoint is built from: strict shapes, rows scoped by workspace, routes without a trailing slash.

Errors are in `kjxlkj.envelope`, pages in `kjxlkj.pagination`, both by default for every view.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve
from django.views.decorators.csrf import csrf_exempt
from rest_framework import routers, serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from kjxlkj.envelope import error_json
from kjxlkj.errors import NotFound
from kjxlkj.pagination import PARAMETERS
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.roles import Right, require, scoped

if TYPE_CHECKING:
    from rest_framework.generics import GenericAPIView as _View
else:
    _View = object

Row = TypeVar("Row", bound=Model)


class Shape(serializers.Serializer[Any]):
    """A request's body or query. A name it does not know is an error: a typo must not pass for a success."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = [name for name, field in self.fields.items() if not field.read_only]
            unknown = sorted(str(name) for name in data if name not in known)
            if unknown:
                message = f"unknown. Known are: {', '.join(known) or 'none'}."
                raise serializers.ValidationError({name: [message] for name in unknown})
        return super().to_internal_value(data)


class NoParameters(Shape):
    """For endpoints that take none."""


def read_body(request: Request, shape: type[Shape]) -> dict[str, Any]:
    """The request's body, validated by `shape`. Raises DRF's ValidationError (400, naming the fields)."""
    return _validated(shape, request.data, request)


def read_query(request: Request, shape: type[Shape] = NoParameters) -> dict[str, Any]:
    """The query's parameters, validated by `shape` (those of pages aside). A parameter given twice is an error."""
    given = {}
    for name, values in request.query_params.lists():
        if len(values) > 1:
            raise serializers.ValidationError({name: ["given more than once."]})
        if name not in PARAMETERS:
            given[name] = values[0]
    return _validated(shape, given, request)


def _validated(shape: type[Shape], data: Any, request: Request) -> dict[str, Any]:
    serializer = shape(data=data, context={"request": request})
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def acting_user(request: Request) -> User:
    """The authenticated user. The default permission lets nobody else reach a view."""
    user = request.user
    if not isinstance(user, User):
        raise TypeError("this view serves authenticated users only")
    return user


def workspace_for(user: User, workspace_id: UUID | str, right: Right) -> Workspace:
    """Raises `NotFound` WORKSPACE_NOT_FOUND to outsiders, `Forbidden` to members without `right`."""
    try:
        workspace = Workspace.objects.filter(pk=workspace_id).first()
    except ValidationError:  # malformed, and so of no workspace
        workspace = None
    if workspace is None:
        raise NotFound("WORKSPACE_NOT_FOUND", "There is no such workspace, or you are not a member of it.")
    require(user, workspace, right)
    return workspace


class WorkspaceScoped(_View):  # type: ignore[type-arg]  # a mixin for viewsets over any model
    """Mixin: rows of the user's workspaces only. To anyone else they do not exist (404)."""

    # From a row to its workspace, as in `queryset.filter(<workspace_path>=…)`; None: the row is one.
    workspace_path: ClassVar[str] = "workspace"
    # The 404's code is <noun>_NOT_FOUND.
    noun: ClassVar[str]

    def get_queryset(self) -> QuerySet[Any]:
        return scoped(super().get_queryset(), self.request.user, path=self.workspace_path)

    def get_object(self) -> Any:
        """The row named in the path, whatever the user's role. Raises `NotFound`, for a malformed id as well."""
        given = self.kwargs[self.lookup_url_kwarg or self.lookup_field]
        try:
            row = self.get_queryset().filter(pk=UUID(given)).first()
        except ValueError:
            row = None
        if row is None:
            name = self.noun.lower().replace("_", " ")
            raise NotFound(f"{self.noun}_NOT_FOUND", f"There is no such {name}, or you may not know of it.")
        return row

    def authorised(self, right: Right) -> Any:
        """The row named in the path, if the user has `right` in its workspace. Raises `NotFound`, `Forbidden`."""
        row = self.get_object()
        workspace = row
        for step in self.workspace_path.split("__"):
            workspace = workspace if step == "pk" else getattr(workspace, step)
        require(acting_user(self.request), workspace, right)
        return row

    def in_workspace(self, rows: QuerySet[Row], workspace_id: UUID | None) -> QuerySet[Row]:
        """`rows` of one workspace, which must be the user's; of all of theirs if None."""
        if workspace_id is None:
            return rows
        workspace = workspace_for(acting_user(self.request), workspace_id, Right.READ)
        return rows.filter(**{self.workspace_path: workspace.pk})


class AnyAccept(DefaultContentNegotiation):
    """For downloads: whatever type of file is asked for, errors are JSON."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class Router(routers.SimpleRouter):
    """Routes without a trailing slash; `other_slash` serves the same with one."""

    def __init__(self) -> None:
        super().__init__(trailing_slash=False)


@csrf_exempt
def other_slash(request: HttpRequest, rest: str) -> HttpResponseBase:
    """The last route of /api: the address with its trailing slash taken off or put on, or a 404 in JSON.

    Exempt from the CSRF middleware as every DRF view is: the view that answers does its own check.
    """
    other = f"/api/{rest[:-1]}" if rest.endswith("/") else f"/api/{rest}/"
    try:
        match = resolve(other)
    except Resolver404:
        match = None
    if match is None or match.func is other_slash:
        return error_json(404, "NOT_FOUND", "There is nothing at this address. /api/docs/ lists what there is.")
    request.resolver_match = match
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    return response
