"""Search, and the tags in use."""

from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from kjxlkj.api import Shape, WorkspaceScoped, acting_user, read_query, workspace_for
from kjxlkj.notes.models import Note
from kjxlkj.notes.search import RANKED, by_index, highlighted, ranked, with_snippets
from kjxlkj.notes.serializers import FILTER_PARAMETERS, NoteFound, SearchQuery, TagCount
from kjxlkj.notes.tag_counts import tag_counts
from kjxlkj.pagination import bad_cursor, decode_cursor, encode_cursor, page_url, read_limit
from kjxlkj.workspaces.roles import Right

# Nobody reads further, and each page behind it would cost as much as all before it.
SEARCH_WINDOW = RANKED

_Q = OpenApiParameter(
    "q",
    str,
    required=True,
    description="Words, “phrases”, or, -exclusions. English is stemmed, any word matches as is.",
)


class SearchView(WorkspaceScoped, GenericAPIView[Note]):
    queryset = Note.objects.live()
    serializer_class = NoteFound

    @extend_schema(operation_id="search", parameters=[_Q, *FILTER_PARAMETERS], responses=NoteFound(many=True))
    def get(self, request: Request) -> Response:
        """The best matches first, title over text; at most 1,000, in pages."""
        asked = read_query(request, SearchQuery)
        limit, offset = read_limit(request), _offset(request)
        notes = self.in_workspace(self.get_queryset(), asked.get("workspace_id")).filter(asked["condition"])
        stop = min(offset + limit, SEARCH_WINDOW)
        best = ranked(notes, asked["q"])[offset : stop + 1]
        with by_index():
            ranks = dict(best.values_list("id", "rank"))  # type: ignore[misc]  # `rank` is annotated
        page = dict(list(ranks.items())[: stop - offset])
        more = len(ranks) > len(page) and stop < SEARCH_WINDOW
        return Response(
            {
                "results": NoteFound(_found(page, asked["q"]), many=True).data,
                "next": page_url(request, encode_cursor(stop)) if more else None,
                "previous": page_url(request, encode_cursor(max(0, offset - limit))) if offset else None,
            }
        )


def _offset(request: Request) -> int:
    match decode_cursor(request.query_params.get("cursor") or encode_cursor(0)):
        case bool():
            raise bad_cursor()
        case int(offset) if 0 <= offset < SEARCH_WINDOW:
            return offset
    raise bad_cursor()


def _found(ranks: dict[UUID, float], text: str) -> list[Note]:
    """The notes of one page in the order of `ranks`, with `rank` and `snippet`."""
    rows: QuerySet[Note] = with_snippets(Note.objects.get_queryset().without_text().filter(id__in=ranks), text)
    notes = {note.id: note for note in rows}
    found = []
    for note_id, rank in ranks.items():
        if note := notes.get(note_id):
            note.rank, note.snippet = rank, highlighted(note.snippet)  # type: ignore[attr-defined]  # annotations
            found.append(note)
    return found


class TagQuery(Shape):
    workspace_id = serializers.UUIDField()


class TagsView(GenericAPIView[Note]):
    serializer_class = TagCount

    @extend_schema(operation_id="tags_list", parameters=[TagQuery], responses=TagCount(many=True))
    def get(self, request: Request) -> Response:
        """The tags of a workspace's live notes in alphabetical order, each with the number of notes that bear it."""
        asked = read_query(request, TagQuery)
        workspace = workspace_for(acting_user(request), asked["workspace_id"], Right.READ)
        limit = read_limit(request)
        after = decode_cursor(request.query_params.get("cursor") or encode_cursor(""))
        if not isinstance(after, str) or "\0" in after:
            raise bad_cursor()
        rows = tag_counts(workspace.id, after=after, limit=limit + 1)
        more = page_url(request, encode_cursor(rows[limit - 1][0])) if len(rows) > limit else None
        results = [{"label": label, "count": count} for label, count in rows[:limit]]
        return Response({"results": results, "next": more, "previous": None})
