"""Files beside the notes: listed, and handed out as downloads that no browser opens in our name."""

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from kjxlkj.api import AnyAccept, Shape, WorkspaceScoped, read_query
from kjxlkj.downloads import DownloadQuery
from kjxlkj.notes.models import Attachment
from kjxlkj.notes.serializers import AttachmentOut
from kjxlkj.notes.serving import as_download


class AttachmentQuery(Shape):
    workspace_id = serializers.UUIDField(required=False, help_text="Left out: all of your workspaces.")


class AttachmentViewSet(WorkspaceScoped, GenericViewSet[Attachment]):
    queryset = Attachment.objects.live()
    serializer_class = AttachmentOut
    lookup_value_regex = "[^/]+"
    noun = "ATTACHMENT"
    ordering = ("path", "id")
    content_negotiation_class = AnyAccept

    @extend_schema(parameters=[AttachmentQuery])
    def list(self, request: Request) -> Response:
        asked = read_query(request, AttachmentQuery)
        rows = self.in_workspace(self.get_queryset(), asked.get("workspace_id"))
        return self.get_paginated_response(AttachmentOut(self.paginate_queryset(rows), many=True).data)

    @extend_schema(
        parameters=[DownloadQuery],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            302: OpenApiResponse(description="Where files are in a bucket: to a link that opens for a few minutes."),
        },
    )
    def retrieve(self, request: Request, pk: str) -> HttpResponseBase:
        """The file itself or a range of it, as a download."""
        asked = read_query(request, DownloadQuery)
        return as_download(request, self.get_object(), stream=asked["stream"])
