"""What was asked and answered in a run, and the ledger of what was sent where, over HTTP."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from automation.models import Run
from kjxlkj.api import Shape, WorkspaceScoped, read_query
from kjxlkj.errors import NotFound
from librarian.models import Disclosure, Exchange

# What lists leave in the database.
_TEXTS = ("system_prompt", "prompt", "response", "reasoning")


class ExchangeOut(serializers.ModelSerializer[Exchange]):
    run_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Exchange
        fields = [
            "id", "run_id", "stage", "index", "attempt", "provider_kind", "host", "model", "answered_model",
            "parameters", "sources", "finish_reason", "failure", "failure_detail", "http_status", "latency_ms",
            "estimated_tokens", "usage_reported", "prompt_tokens", "completion_tokens", "cost", "charged_tokens",
            "charged_cost", "created_at", "answered_at",
        ]  # fmt: skip
        read_only_fields = fields


class ExchangeDetail(ExchangeOut):
    class Meta(ExchangeOut.Meta):
        fields = [*ExchangeOut.Meta.fields, *_TEXTS]
        read_only_fields = fields


class ExchangeViewSet(WorkspaceScoped, GenericViewSet[Run]):
    """The requests that a run made."""

    queryset = Run.objects.select_related("workspace")
    serializer_class = ExchangeOut
    noun = "RUN"
    ordering = ("created_at", "id")

    @extend_schema(responses=ExchangeOut(many=True))
    def list(self, request: Request, pk: str) -> Response:
        """In the order in which they were made, without their texts."""
        read_query(request)
        rows: QuerySet[Exchange] = self.get_object().exchanges.defer(*_TEXTS)
        return self.get_paginated_response(ExchangeOut(self.paginate_queryset(rows), many=True).data)

    @extend_schema(responses=ExchangeDetail)
    def retrieve(self, request: Request, pk: str, exchange_id: UUID) -> Response:
        """With all that was sent and came back."""
        read_query(request)
        exchange = self.get_object().exchanges.filter(pk=exchange_id).first()
        if exchange is None:
            raise NotFound("EXCHANGE_NOT_FOUND", "The run has no such exchange.")
        return Response(ExchangeDetail(exchange).data)


class DisclosureOut(serializers.ModelSerializer[Disclosure]):
    workspace_id = serializers.UUIDField(read_only=True)
    note_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Disclosure
        fields = [
            "id", "workspace_id", "note_id", "note_version", "sha256", "part", "host", "run_id", "exchange_id",
            "sent_at",
        ]  # fmt: skip
        read_only_fields = fields


class DisclosureQuery(Shape):
    workspace_id = serializers.UUIDField(required=False)
    note_id = serializers.UUIDField(required=False)
    run_id = serializers.UUIDField(required=False)
    host = serializers.CharField(required=False)
    part = serializers.ChoiceField(["text", "mention"], required=False)


class DisclosureViewSet(WorkspaceScoped, GenericViewSet[Disclosure]):
    """Which note went to which host, when."""

    queryset = Disclosure.objects.all()
    serializer_class = DisclosureOut
    noun = "DISCLOSURE"
    ordering = ("-sent_at", "-id")

    @extend_schema(parameters=[DisclosureQuery])
    def list(self, request: Request) -> Response:
        """Newest first. Written before anything was sent, and never changed."""
        asked: dict[str, Any] = read_query(request, DisclosureQuery)
        rows = self.in_workspace(self.get_queryset(), asked.pop("workspace_id", None)).filter(**asked)
        return self.get_paginated_response(DisclosureOut(self.paginate_queryset(rows), many=True).data)
