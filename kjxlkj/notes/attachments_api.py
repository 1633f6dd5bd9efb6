"""Files beside the notes: listed, and handed out as downloads that no browser opens in our name."""

import mimetypes
import re

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from kjxlkj.api import AnyAccept, Shape, WorkspaceScoped, read_query
from kjxlkj.errors import NotFound
from kjxlkj.notes.models import Attachment
from kjxlkj.notes.serializers import AttachmentOut

# What no browser runs scripts of. Everything else keeps its bytes and loses its name: no HTML, no XML, no SVG.
_PASSIVE = re.compile(
    r"(?:image|audio|video)/[\w.-]+|text/(?:plain|csv|markdown)|application/(?:pdf|zip|json|vnd\.[\w.-]+)"
)


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
        attachment = self.get_object()
        try:
            content = attachment.file.open("rb")
        except FileNotFoundError as error:
            raise NotFound(
                "ATTACHMENT_NOT_FOUND", "The file's content is missing from the storage. Import it again."
            ) from error
        name = attachment.path.rpartition("/")[2]
        guessed, encoding = mimetypes.guess_type(name)
        passive = guessed and not encoding and _PASSIVE.fullmatch(guessed)
        response = FileResponse(
            content,
            as_attachment=True,
            filename=name,
            content_type=guessed if passive else "application/octet-stream",
        )
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return response
