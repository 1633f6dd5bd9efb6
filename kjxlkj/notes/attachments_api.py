"""Files beside the notes: listed, and handed out as downloads that no browser opens in our name."""

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from kjxlkj.api import AnyAccept, Shape, WorkspaceScoped, read_query
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

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def retrieve(self, request: Request, pk: str) -> FileResponse:
        """The file itself, as a download."""
        read_query(request)
        return as_download(self.get_object())
