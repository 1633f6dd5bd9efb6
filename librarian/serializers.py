"""Wire shapes of operations and their review."""

from typing import Any

from rest_framework import serializers

from automation.serializers import RunOut
from kjxlkj.api import Shape
from librarian.models import Operation, RunReport
from librarian.services import APPLY, REJECT


class OperationOut(serializers.ModelSerializer[Operation]):
    workspace_id = serializers.UUIDField(read_only=True)
    run_id = serializers.UUIDField(read_only=True)
    target_note_id = serializers.UUIDField(read_only=True, allow_null=True)
    decided_by_id = serializers.UUIDField(read_only=True, allow_null=True)
    applied_event_id = serializers.UUIDField(read_only=True, allow_null=True)
    exchange_id = serializers.UUIDField(read_only=True, allow_null=True)
    batch_id = serializers.UUIDField(read_only=True, allow_null=True)
    undone_by_id = serializers.UUIDField(read_only=True, allow_null=True)

    class Meta:
        model = Operation
        fields = [
            "id", "workspace_id", "run_id", "index", "operation_id", "kind", "target_note_id", "target_path", "title",
            "body_markdown", "tags", "links", "reason", "confidence", "base_version", "status", "reject_code",
            "reject_reason", "edited", "decided_by_id", "decided_at", "applied_event_id", "fingerprint", "created_at",
            "model", "exchange_id", "warnings", "auto_apply", "change_key", "batch_id", "shown_at", "via",
            "edited_characters", "undone_by_id", "undone_at",
        ]  # fmt: skip
        read_only_fields = fields


class OperationQuery(Shape):
    workspace_id = serializers.UUIDField(required=False)
    run_id = serializers.UUIDField(required=False)
    rule_id = serializers.UUIDField(required=False)
    note_id = serializers.UUIDField(required=False)
    status = serializers.CharField(required=False)
    kind = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    batch_id = serializers.UUIDField(required=False)
    change_key = serializers.CharField(required=False, help_text="The same change to other notes, as `+billing`.")
    min_confidence = serializers.FloatField(required=False, min_value=0, max_value=1)


class RunOperationQuery(Shape):
    status = serializers.CharField(required=False)
    kind = serializers.CharField(required=False)


class DecisionIn(Shape):
    operation_id = serializers.UUIDField(help_text="The operation's `id`.")
    decision = serializers.ChoiceField([APPLY, REJECT, "accept"], help_text="`accept` is understood as `apply`.")
    reject_reason = serializers.CharField(required=False, allow_blank=True, max_length=2_000, default="")
    edits = serializers.DictField(
        required=False, help_text="Own wording: `title`, `body_markdown`, `tags`, `links`, as the kind has them."
    )
    base_version = serializers.IntegerField(
        required=False, min_value=1, help_text="The note's version that you saw, to accept for a note that moved on."
    )


class ReviewIn(Shape):
    decisions = DecisionIn(many=True, allow_empty=False, max_length=500)  # type: ignore[call-arg]  # DRF: many=True passes it on

    def validate_decisions(self, decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = [decision["operation_id"] for decision in decisions]
        if len(set(ids)) < len(ids):
            raise serializers.ValidationError("an operation is named twice. Decide each once.")
        return decisions


class OutcomeOut(serializers.Serializer[Any]):
    operation_id = serializers.UUIDField(source="operation.id")
    status = serializers.CharField()
    code = serializers.CharField(required=False)
    message = serializers.CharField(required=False)
    note_version = serializers.IntegerField(required=False)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        said = super().to_representation(instance)
        return {name: value for name, value in said.items() if value not in ("", None)}


class ReviewOut(serializers.Serializer[Any]):
    run = RunOut()
    results = OutcomeOut(many=True)
    applied_operations = serializers.IntegerField(help_text="Of the run, now.")
    rejected_operations = serializers.IntegerField(help_text="Of the run, now.")


class UndoOut(serializers.Serializer[Any]):
    run = RunOut()
    results = OutcomeOut(many=True)
    reverted_operations = serializers.IntegerField(help_text="Undone by this request.")


class ReportOut(serializers.ModelSerializer[RunReport]):
    pending_count = serializers.IntegerField(read_only=True)
    applied_count = serializers.IntegerField(read_only=True)
    rejected_count = serializers.IntegerField(read_only=True)
    reverted_count = serializers.IntegerField(read_only=True, help_text="Applied, and undone since.")

    class Meta:
        model = RunReport
        fields = [
            "provider_kind", "model", "answers", "fallback", "prompt_hash", "prompt_pack_version", "parser_version",
            "parsed_count", "operations_sha256", "pending_count", "applied_count", "rejected_count", "reverted_count",
            "warnings", "failures", "requests", "latency_ms", "prompt_tokens", "completion_tokens", "cost",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields
