"""Wire shapes of rules and runs."""

from typing import Any

from rest_framework import serializers

from automation import trace
from automation.models import Rule, Run, RunSource, RunTrigger
from kjxlkj.api import Shape
from kjxlkj.jobs.models import JobStatus
from kjxlkj.jobs.serializers import JOB_FIELDS, JobOut
from kjxlkj.notes.serializers import ConditionField


class RuleOut(serializers.ModelSerializer[Rule]):
    workspace_id = serializers.UUIDField(read_only=True)
    created_by_id = serializers.UUIDField(read_only=True, allow_null=True)
    condition_json = ConditionField(read_only=True)

    class Meta:
        model = Rule
        fields = [
            "id", "workspace_id", "name", "trigger", "schedule", "next_tick_at", "condition_json", "action_json",
            "enabled", "settle_seconds",
            "max_sources", "on_automation", "created_by_id", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class RuleValues(Shape):
    """Checked by `automation.validation`, which reports every fault at once; here only the names."""

    name = serializers.JSONField(required=False, allow_null=True, help_text="Unique within the workspace.")
    trigger = serializers.JSONField(
        required=False, allow_null=True, help_text="manual, schedule, note.changed, or the type of a note event."
    )
    schedule = serializers.JSONField(
        required=False, allow_null=True, help_text="A cron line, for the trigger schedule."
    )
    condition_json = ConditionField(required=False, allow_null=True, help_text="Which notes. Empty: every note.")
    action_json = serializers.JSONField(required=False, allow_null=True, help_text='What to do, by "kind".')
    enabled = serializers.JSONField(required=False, allow_null=True)
    settle_seconds = serializers.JSONField(
        required=False, allow_null=True, help_text="From the first event to the run."
    )
    max_sources = serializers.JSONField(required=False, allow_null=True, help_text="Notes in one run.")
    on_automation = serializers.JSONField(required=False, allow_null=True, help_text="Also for changes that runs made.")


class RuleChange(RuleValues):
    base_updated_at = serializers.DateTimeField(
        required=False, help_text="As you read it: what others have changed since is then not overwritten (409)."
    )


class RuleCreate(RuleValues):
    workspace_id = serializers.UUIDField()
    name = serializers.JSONField(allow_null=True)
    action_json = serializers.JSONField(allow_null=True)


class RuleQuery(Shape):
    workspace_id = serializers.UUIDField(required=False)
    enabled = serializers.BooleanField(required=False, allow_null=True, default=None)
    trigger = serializers.CharField(required=False)


class LaunchIn(Shape):
    event_id = serializers.UUIDField(required=False, help_text="Launch for this past event; counted once.")
    note_ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, min_length=1, max_length=10_000, help_text="Of those that match."
    )


class PreviewAbout(Shape):
    note_id = serializers.UUIDField(required=False, allow_null=True, help_text="Judge this note, deleted or not.")
    event_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="Judge this past event, with its note as it is now."
    )


class PreviewIn(RuleValues, PreviewAbout):
    """A rule that is not saved; its fields are as those of rules, and every fault of them is told at once."""

    workspace_id = serializers.UUIDField()
    condition_json = ConditionField(default=dict, allow_null=True)
    action_json = serializers.JSONField(
        required=False, allow_null=True, help_text="Left out: only the condition is tried."
    )


class PreviewNote(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    path = serializers.CharField()
    title = serializers.CharField()


class DecisionOut(serializers.Serializer[Any]):
    fires = serializers.BooleanField()
    reasons = serializers.ListField(child=serializers.CharField(), help_text="Against it, each in a sentence.")


class VerdictOut(serializers.Serializer[Any]):
    path = serializers.CharField(help_text="JSON path of this part of the condition.")
    depth = serializers.IntegerField(help_text="Below how many other parts it stands.")
    label = serializers.CharField()  # type: ignore[assignment]  # a declared field, not Field.label
    holds = serializers.BooleanField()
    value = serializers.CharField(help_text="What of the note it was decided on.")


class PreviewOut(serializers.Serializer[Any]):
    matching = serializers.IntegerField(help_text="Notes that meet the condition now.")
    notes = PreviewNote(many=True, help_text="The first of them, by path.")
    runs = serializers.IntegerField(help_text="How many a launch would make now.")
    does = serializers.CharField(help_text="What they would do, in a sentence.")
    note = PreviewNote(allow_null=True, help_text="The one chosen, or the chosen event's.")
    decision = DecisionOut(allow_null=True, help_text="Whether the rule takes the chosen note, or event.")
    verdicts = VerdictOut(many=True, help_text="On each part of the condition, for that note.")


class WordOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField(source="word.label")  # type: ignore[assignment]  # a declared field, not Field.label
    input = serializers.CharField(
        source="word.input",
        help_text="Which kind of field it takes: text, tag, tags, boolean, number, days, time, choice, folder, pairs.",
    )
    choices = serializers.ListField(source="word.choices", child=serializers.CharField(), help_text="Of a choice.")
    schema = serializers.DictField(source="word.schema", help_text="JSON schema of its value.")


class ActionOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a declared field, not Field.label
    schema = serializers.DictField(help_text="JSON schema of its settings, without “kind”.")


class VocabularyOut(serializers.Serializer[Any]):
    conditions = WordOut(many=True)
    condition_schema = serializers.DictField(help_text="JSON schema (2020-12) of a whole condition.")
    triggers = serializers.ListField(child=serializers.CharField())
    actions = ActionOut(many=True)


class RunOut(JobOut[Run]):
    workspace_id = serializers.UUIDField(read_only=True)
    rule_id = serializers.UUIDField(read_only=True)
    rule_name = serializers.CharField(source="rule_snapshot.name", read_only=True)
    triggering_event_id = serializers.UUIDField(read_only=True, allow_null=True)
    outcome = serializers.CharField(read_only=True, help_text="How it ended, or where it is, in one sentence.")

    class Meta:
        model = Run
        fields = [
            "id", "workspace_id", "rule_id", "rule_name", "trigger", "triggering_event_id", "tick_at", "depth",
            "chain", "batch", "source_count", "outcome",
            *JOB_FIELDS,
        ]  # fmt: skip
        read_only_fields = fields


class RunDetail(RunOut):
    triggered_by = serializers.SerializerMethodField(help_text="What started it, in one sentence.")

    class Meta(RunOut.Meta):
        fields = [*RunOut.Meta.fields, "triggered_by", "rule_snapshot", "result_json"]
        read_only_fields = fields

    def get_triggered_by(self, run: Run) -> str:
        return trace.triggered_by(run)


class SourceOut(serializers.ModelSerializer[RunSource]):
    note_id = serializers.UUIDField(read_only=True)
    path = serializers.CharField(source="note.path", read_only=True)
    title = serializers.CharField(source="note.title", read_only=True)
    event_id = serializers.UUIDField(read_only=True, allow_null=True)

    class Meta:
        model = RunSource
        fields = ["note_id", "path", "title", "event_id"]
        read_only_fields = fields


class RunQuery(Shape):
    workspace_id = serializers.UUIDField(required=False)
    rule_id = serializers.UUIDField(required=False)
    status = serializers.ChoiceField(choices=JobStatus.choices, required=False)
    trigger = serializers.ChoiceField(choices=RunTrigger.choices, required=False)
    batch = serializers.UUIDField(required=False)


class LaunchOut(serializers.Serializer[Any]):
    batch = serializers.UUIDField(allow_null=True)
    runs = RunOut(many=True)


class WebhookSecret(serializers.Serializer[Any]):
    secret = serializers.CharField(help_text="The key of the HMAC-SHA256 in X-Kjxlkj-Signature.")
