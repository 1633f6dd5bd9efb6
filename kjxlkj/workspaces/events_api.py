"""The feed of events, of one workspace or all of a person's, for readers that come again or wait."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView

from kjxlkj.api import acting_user, read_query, workspace_for
from kjxlkj.pagination import LIMIT, bad_parameter, read_limit
from kjxlkj.workspaces.cursor import Positions, decode_positions, encode_positions, name_of
from kjxlkj.workspaces.feed import FeedPage, Narrowing, follow, latest, read_page, refuse_if_ahead
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.roles import Right, scoped
from kjxlkj.workspaces.serializers import EventFeed, EventOut, EventQuery

_CURSOR = OpenApiParameter("cursor", str, description="From the answer before: the next one begins where it ended.")
_LARGEST = 2**63 - 1
# For whoever may not wait now: it should not ask without a pause.
_PAUSE_SECONDS = 1


@dataclass
class _Reader:
    user: User
    workspace_id: UUID | None
    narrowing: Narrowing
    limit: int
    has_cursor: bool
    has_looked: bool = False

    def look(self, positions: Positions) -> FeedPage:
        """Raises `NotFound` when the workspace is not the user's, or not any more."""
        if self.has_looked:
            self.user.refresh_from_db(fields=["is_active", "is_superuser"])
        self.has_looked = True
        heads = self.heads()
        refuse_if_ahead(heads, positions, "cursor" if self.has_cursor else "after")
        return read_page(heads, positions, self.narrowing, self.limit)

    def heads(self) -> dict[UUID, int]:
        """The workspaces that are read, with the numbers of their last events."""
        if self.workspace_id is not None:
            workspace = workspace_for(self.user, self.workspace_id, Right.READ)
            return {workspace.id: workspace.event_seq}
        return dict(scoped(Workspace.objects.all(), self.user, path="pk").values_list("id", "event_seq"))


class EventFeedView(APIView):
    @extend_schema(parameters=[EventQuery, _CURSOR, LIMIT], responses=EventFeed)
    def get(self, request: Request) -> Response:
        """What happened, each event once, those of each workspace in their order.

        Ask again and again with the `cursor` of the answer before, and with `wait` to be answered as soon as something
        happens. Where all places for waiting are taken, the answer comes at once and has a Retry-After.
        """
        asked = read_query(request, EventQuery)
        reader = _Reader(
            user=acting_user(request),
            workspace_id=asked.get("workspace_id"),
            narrowing=_narrowing(asked),
            limit=read_limit(request),
            has_cursor="cursor" in request.query_params,
        )
        positions = _begin(request, asked, reader)
        if not asked["wait"]:
            return _answer(request, reader, reader.look(positions))
        page, could_wait = follow(reader.look, positions, asked["wait"])
        answer = _answer(request, reader, page)
        if not (page.events or could_wait):
            answer["Retry-After"] = str(_PAUSE_SECONDS)
        return answer


def _narrowing(asked: dict[str, Any]) -> Narrowing:
    types = asked["type"].split(",") if "type" in asked else []
    return Narrowing(tuple(types), asked.get("note_id"), asked.get("run_id"))


def _begin(request: Request, asked: dict[str, Any], reader: _Reader) -> Positions:
    after = asked.get("after")
    if reader.has_cursor:
        if after is not None:
            raise bad_parameter("after", "the cursor tells already where to begin. Give one of the two.")
        return decode_positions(request.query_params["cursor"])
    if after is None:
        return {}
    if after == "latest":
        return latest(reader.heads())
    seq = int(after)
    if seq > _LARGEST:
        raise bad_parameter("after", "expected a number from 0 to 2^63 - 1, or latest.")
    if seq and reader.workspace_id is None:
        raise bad_parameter(
            "after", "a number counts in one workspace: name it with workspace_id, or give the cursor of an answer."
        )
    return {name_of(reader.workspace_id): seq} if reader.workspace_id else {}


def _answer(request: Request, reader: _Reader, page: FeedPage) -> Response:
    cursor = encode_positions(page.positions)
    here = remove_query_param(request.build_absolute_uri(), "after")
    return Response(
        {
            "results": EventOut(page.events, many=True).data,
            "next": replace_query_param(here, "cursor", cursor) if page.more else None,
            "previous": None,
            "cursor": cursor,
            "last_seq": page.positions.get(name_of(reader.workspace_id), 0) if reader.workspace_id else None,
        }
    )
