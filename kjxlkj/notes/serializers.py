"""Wire shapes of notes. Limits of what a field may hold are `notes.checks`' business, not theirs."""

import json
from typing import Any

from django.db.models import Q
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from kjxlkj.api import Shape
from kjxlkj.errors import Invalid
from kjxlkj.notes.filters import VOCABULARY, BadValue, Filter, condition_faults, condition_q, node_schema
from kjxlkj.notes.models import Attachment, Note, NoteEvent, NoteKind, NoteLink
from kjxlkj.parser import unstorable

_LISTED = [
    "id", "workspace_id", "path", "title", "tags", "aliases", "kind", "version", "deleted_at", "created_at",
    "updated_at",
]  # fmt: skip


class NoteListed(serializers.ModelSerializer[Note]):
    """A note as lists show it: without `body`, `front_matter` and `metadata`. GET the note itself for those."""

    workspace_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Note
        fields = _LISTED
        read_only_fields = fields


class NoteFound(NoteListed):
    rank = serializers.FloatField(read_only=True)
    snippet = serializers.CharField(
        read_only=True, help_text="HTML: passages of the text, escaped, with the words found in <mark>."
    )

    class Meta(NoteListed.Meta):
        fields = [*_LISTED, "rank", "snippet"]
        read_only_fields = fields


class NoteOut(NoteListed):
    metadata = serializers.DictField(read_only=True)

    class Meta(NoteListed.Meta):
        fields = [*_LISTED, "body", "front_matter", "metadata"]
        read_only_fields = fields


class _Text(serializers.CharField):
    """Text that is kept to the letter."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_blank": True, "trim_whitespace": False, "required": False, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("expected text.")
        return data


class _Versioned(Shape):
    base_version = serializers.IntegerField(
        min_value=1, help_text="The version that this change was made from. If it has moved on: VERSION_CONFLICT."
    )


class _Content(Shape):
    path = _Text(help_text="The file path inside the workspace, once among its live notes; may be empty.")
    title = _Text()
    body = _Text(help_text="Markdown after the front matter.")
    front_matter = _Text(help_text="A YAML block with its --- lines, kept verbatim.")
    tags = serializers.ListField(child=_Text(), required=False)
    aliases = serializers.ListField(child=_Text(), required=False)


class NoteCreate(_Content):
    workspace_id = serializers.UUIDField()
    title = _Text(required=True)
    kind = serializers.ChoiceField(NoteKind.choices, required=False)


class NoteChange(_Content, _Versioned):
    pass


class NoteVersion(_Versioned):
    """Names the version that is meant to be changed, and nothing else."""


class NoteTags(_Versioned):
    tags = serializers.ListField(child=_Text(), help_text="The full new set.")


class NoteRollback(_Versioned):
    version = serializers.IntegerField(min_value=1, help_text="The version whose content is to come back.")


class NoteEventOut(serializers.ModelSerializer[NoteEvent]):
    note_id = serializers.UUIDField(read_only=True)
    actor_id = serializers.UUIDField(read_only=True, allow_null=True)

    class Meta:
        model = NoteEvent
        fields = [
            "id", "note_id", "seq", "changed", "actor_id", "cause", "run_id", "operation_id", "reason", "request_id",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class NoteState(serializers.Serializer[Any]):
    """What a note said at one of its versions."""

    version = serializers.IntegerField()
    path = serializers.CharField()
    title = serializers.CharField()
    body = serializers.CharField()
    front_matter = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    aliases = serializers.ListField(child=serializers.CharField())


class BacklinkOut(serializers.ModelSerializer[NoteLink]):
    source_note_id = serializers.UUIDField(source="source_id", read_only=True)
    source_title = serializers.CharField(source="source.title", read_only=True)
    source_path = serializers.CharField(source="source.path", read_only=True)

    class Meta:
        model = NoteLink
        fields = ["source_note_id", "source_title", "source_path", "position", "kind", "raw", "heading", "text"]
        read_only_fields = fields


class TagCount(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]  # a declared field, not Field.label
    count = serializers.IntegerField()


class AttachmentOut(serializers.ModelSerializer[Attachment]):
    workspace_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Attachment
        fields = ["id", "workspace_id", "path", "sha256", "size", "created_at", "updated_at"]
        read_only_fields = fields


class ConditionField(serializers.JSONField):
    """A condition in a body. Its faults are told by whoever takes it, with those of what it belongs to."""


class _DescribedCondition(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = ConditionField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        schema = node_schema("#/components/schemas/Condition")
        condition = ResolvedComponent("Condition", "schemas", schema, "Condition")  # type: ignore[no-untyped-call]
        auto_schema.registry.register_on_missing(condition)
        return condition.ref


# --- Queries --------------------------------------------------------------------------------------


class _FilterField(serializers.Field[Any, Any, Any, Any]):
    """One word of the filter vocabulary as a query parameter; its value is a condition."""

    def __init__(self, word: Filter) -> None:
        super().__init__(required=False)
        self.word = word

    def to_internal_value(self, data: Any) -> Q:
        try:
            return self.word.condition_from_text(data)
        except BadValue as error:
            raise serializers.ValidationError(f"{error}.") from error


class _FilterParameter(serializers.CharField):
    def to_internal_value(self, data: Any) -> Q:  # type: ignore[override]  # a condition, not its text
        try:
            tree = json.loads(super().to_internal_value(data))
        except (ValueError, RecursionError) as error:
            raise serializers.ValidationError(f"not JSON: {error}.") from error
        if fault := unstorable(tree):
            raise serializers.ValidationError(": ".join(fault))
        faults = condition_faults(tree, "filter")
        if faults:
            errors = [{"field": fault.path, "message": fault.message} for fault in faults]
            raise Invalid("FILTER_INVALID", f"{faults[0].path}: {faults[0].message}", {"errors": errors})
        return condition_q(tree)


class Filtered(Shape):
    """Every word of the filter vocabulary, and the workspace. All must hold."""

    workspace_id = serializers.UUIDField(required=False, help_text="Left out: all of your workspaces.")
    filter = _FilterParameter(
        required=False, max_length=64 * 1024, help_text="A condition as rules have it, in JSON (all, any, not)."
    )

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), **{name: _FilterField(word) for name, word in VOCABULARY.items()}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Gather all conditions under `condition`."""
        condition = Q()
        for name in ("filter", *VOCABULARY):
            if name in attrs:
                condition &= attrs.pop(name)
        return {**attrs, "condition": condition}


class NoteQuery(Filtered):
    order = serializers.ChoiceField(["path", "title", "-updated_at", "-created_at"], default="path")
    deleted = serializers.BooleanField(default=False, help_text="true: the deleted notes instead of the live ones.")


class SearchQuery(Filtered):
    q = serializers.CharField(
        max_length=500, help_text="Words, “phrases”, or, -exclusions. English is stemmed; other words match as written."
    )


class DeletedToo(Shape):
    deleted = serializers.BooleanField(default=False, help_text="true: also if the note is deleted.")


def _parameter(name: str, schema: Any, text: str, *, required: bool = False) -> OpenApiParameter:
    listed = schema.get("type") == "array"
    if schema.get("type") == "object":
        schema = {"type": "string", "example": "status=open"}
    # Lists, and keys with their values, are one text with commas between.
    return OpenApiParameter(name, dict(schema), description=text, required=required, explode=False if listed else None)


FILTER_PARAMETERS = [
    _parameter("workspace_id", {"type": "string", "format": "uuid"}, "Left out: all of your workspaces."),
    _parameter(
        "filter", {"type": "string"}, "A condition as rules have it, in JSON: all, any, not, and the words below."
    ),
    *(_parameter(name, word.schema, f"The note {word.label}.") for name, word in VOCABULARY.items()),
]
