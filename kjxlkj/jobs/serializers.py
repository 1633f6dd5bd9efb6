"""What every job tells of itself on the wire, whatever its kind."""

from typing import TypeVar

from rest_framework import serializers

from kjxlkj.jobs.models import Job

J = TypeVar("J", bound=Job)

JOB_FIELDS = (
    "status", "queue", "attempts", "max_attempts", "not_before", "cancel_requested", "progress_done",
    "progress_total", "progress_label", "error_code", "error_detail", "created_by_id", "created_at", "updated_at",
    "started_at", "finished_at",
)  # fmt: skip


class JobOut(serializers.ModelSerializer[J]):
    """Its `Meta` names the model, and `*JOB_FIELDS` among the fields."""

    created_by_id = serializers.UUIDField(read_only=True, allow_null=True)
