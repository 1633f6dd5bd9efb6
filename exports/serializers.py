"""Wire shapes of exports."""

from rest_framework import serializers

from exports.models import ExportJob, ExportKind
from kjxlkj.api import Shape
from kjxlkj.jobs.models import JobStatus
from kjxlkj.jobs.serializers import JOB_FIELDS, JobOut
from kjxlkj.notes.serializers import ConditionField


class ExportOut(JobOut[ExportJob]):
    workspace_id = serializers.UUIDField(read_only=True, allow_null=True)
    run_id = serializers.UUIDField(read_only=True, allow_null=True)
    condition_json = ConditionField(read_only=True)

    class Meta:
        model = ExportJob
        fields = [
            "id", "workspace_id", "run_id", "kind", "condition_json", *JOB_FIELDS, "filename", "size", "sha256",
            "summary_json", "expires_at",
        ]  # fmt: skip
        read_only_fields = fields


class MarkdownExportIn(Shape):
    workspace_id = serializers.UUIDField()
    condition = ConditionField(default=dict, help_text="Which notes, as in rules. Left out: every note.")


class ExportQuery(Shape):
    workspace_id = serializers.UUIDField(required=False, help_text="Left out: all of your workspaces.")
    kind = serializers.ChoiceField(choices=ExportKind.choices, required=False)
    status = serializers.ChoiceField(choices=JobStatus.choices, required=False)
