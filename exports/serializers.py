"""Wire shapes of exports."""

from rest_framework import serializers

from exports.models import AuditAction, AuditEntry, ExportJob, ExportKind
from kjxlkj.api import Shape
from kjxlkj.jobs.models import JobStatus
from kjxlkj.jobs.serializers import JOB_FIELDS, JobOut
from kjxlkj.notes.serializers import ConditionField


class ExportOut(JobOut[ExportJob]):
    workspace_id = serializers.UUIDField(read_only=True, allow_null=True)
    run_id = serializers.UUIDField(read_only=True, allow_null=True)
    subject_id = serializers.UUIDField(read_only=True, allow_null=True, help_text="Of a check: the backup.")
    condition_json = ConditionField(read_only=True)

    class Meta:
        model = ExportJob
        fields = [
            "id", "workspace_id", "run_id", "kind", "subject_id", "condition_json", *JOB_FIELDS, "filename", "size",
            "sha256", "summary_json", "expires_at", "deleted_at", "verified_at", "verification_json",
        ]  # fmt: skip
        read_only_fields = fields


class MarkdownExportIn(Shape):
    workspace_id = serializers.UUIDField()
    condition = ConditionField(default=dict, help_text="Which notes, as in rules. Left out: every note.")


class ExportQuery(Shape):
    workspace_id = serializers.UUIDField(required=False, help_text="Left out: all of your workspaces.")
    kind = serializers.ChoiceField(choices=ExportKind.choices, required=False)
    status = serializers.ChoiceField(choices=JobStatus.choices, required=False)


class AuditOut(serializers.ModelSerializer[AuditEntry]):
    export_id = serializers.UUIDField(source="job_id", read_only=True, allow_null=True)
    workspace_id = serializers.UUIDField(read_only=True, allow_null=True)
    actor_id = serializers.UUIDField(read_only=True, allow_null=True)

    class Meta:
        model = AuditEntry
        fields = [
            "id", "at", "action", "export_id", "workspace_id", "actor_id", "via", "address", "request_id", "detail",
        ]  # fmt: skip
        read_only_fields = fields


class AuditQuery(Shape):
    workspace_id = serializers.UUIDField(required=False, help_text="Left out: all of your workspaces.")
    export_id = serializers.UUIDField(required=False)
    action = serializers.ChoiceField(choices=AuditAction.choices, required=False)
    actor_id = serializers.UUIDField(required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False, help_text="The first moment that does not count any more.")
