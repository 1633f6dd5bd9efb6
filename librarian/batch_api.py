"""Many operations decided as one, and what was decided undone, over HTTP."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from kjxlkj.api import NoParameters, Shape, acting_user, read_body
from kjxlkj.errors import NotFound
from librarian.batches import MOST, decide_together, undo_batch, visible_batches, with_visible_refusals
from librarian.models import Batch, OperationStatus, Via
from librarian.serializers import OutcomeOut
from librarian.services import APPLY, REJECT


class BatchIn(Shape):
    operation_ids = serializers.ListField(child=serializers.UUIDField(), allow_empty=False, max_length=MOST)
    decision = serializers.ChoiceField([APPLY, REJECT])
    reject_reason = serializers.CharField(required=False, allow_blank=True, max_length=2_000, default="")

    def validate_operation_ids(self, ids: list[UUID]) -> list[UUID]:
        if len(set(ids)) < len(ids):
            raise serializers.ValidationError("an operation is named twice. Decide each once.")
        return ids


class RefusalOut(serializers.Serializer[Any]):
    operation_id = serializers.UUIDField()
    code = serializers.CharField()
    message = serializers.CharField()


class BatchOut(serializers.ModelSerializer[Batch]):
    decided_by_id = serializers.UUIDField(read_only=True)
    refusals = RefusalOut(
        many=True, read_only=True, source="visible_refusals", help_text="What could not be done, of what one may see."
    )

    class Meta:
        model = Batch
        fields = ["id", "decision", "reason", "size", "refusals", "decided_by_id", "created_at"]
        read_only_fields = fields


class DecidedBatchOut(serializers.Serializer[Any]):
    batch = BatchOut()
    results = OutcomeOut(many=True)


class UndoneOut(serializers.Serializer[Any]):
    results = OutcomeOut(many=True)
    reverted_operations = serializers.IntegerField(help_text="Undone by this request.")
    reopened_operations = serializers.IntegerField(help_text="Rejections taken back by this request: they wait again.")


class BatchViewSet(GenericViewSet[Batch]):
    """Decisions on many operations at once, to be undone as one."""

    queryset = Batch.objects.all()
    serializer_class = BatchOut
    lookup_value_regex = "[^/]+"
    ordering = ("-created_at", "-id")

    def get_queryset(self) -> QuerySet[Batch]:
        return visible_batches(acting_user(self.request))

    def list(self, request: Request) -> Response:
        """The newest first: one's own, and those with an operation that one may see."""
        batches = self.paginate_queryset(self.get_queryset()) or ()
        return self.get_paginated_response(BatchOut(self._told(batches), many=True).data)

    @extend_schema(request=BatchIn, responses={201: DecidedBatchOut})
    def create(self, request: Request) -> Response:
        """Decide exactly these operations. Each is done or not by itself; the answer tells, by id."""
        asked = read_body(request, BatchIn)
        batch, outcomes = decide_together(
            asked["operation_ids"],
            asked["decision"],
            actor=acting_user(request),
            reason=asked["reject_reason"],
            via=Via.API,
        )
        (told,) = self._told([batch])
        return Response(DecidedBatchOut({"batch": told, "results": outcomes}).data, status.HTTP_201_CREATED)

    def retrieve(self, request: Request, pk: str) -> Response:
        (told,) = self._told([self._batch(pk)])
        return Response(BatchOut(told).data)

    @extend_schema(request=NoParameters, responses=UndoneOut)
    def undo(self, request: Request, pk: str) -> Response:
        """Undo what was done with it. Notes changed since are left alone, and named in the answer."""
        batch = self._batch(pk)
        read_body(request, NoParameters)
        outcomes = undo_batch(batch, actor=acting_user(request))
        done = Counter(outcome.status for outcome in outcomes if not outcome.code)
        answer = {
            "results": outcomes,
            "reverted_operations": done[OperationStatus.REVERTED],
            "reopened_operations": done[OperationStatus.PENDING],
        }
        return Response(UndoneOut(answer).data)

    def _told(self, batches: Iterable[Batch]) -> Sequence[Batch]:
        return with_visible_refusals(batches, acting_user(self.request))

    def _batch(self, pk: str) -> Batch:
        try:
            return self.get_queryset().get(pk=UUID(pk))
        except (ValueError, Batch.DoesNotExist) as error:
            raise NotFound("BATCH_NOT_FOUND", "There is no such batch, or you may not know of it.") from error
