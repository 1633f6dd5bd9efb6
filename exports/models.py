"""Export jobs and the artifacts that they leave."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from automation.models import Run
from kjxlkj.jobs.models import Job, JobQuerySet
from kjxlkj.workspaces.models import Workspace


class ExportKind(models.TextChoices):
    MARKDOWN = "markdown"
    SQL = "sql"


class ExportJob(Job):
    """A Markdown archive of a workspace (or of the notes a filter names), or a backup of the whole instance."""

    kind = models.CharField(max_length=16, choices=ExportKind.choices)
    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="exports",
        help_text="None for SQL.",
    )
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.PROTECT, related_name="exports")
    condition_json = models.JSONField("condition", default=dict, blank=True)
    file = models.FileField(max_length=300, blank=True)
    filename = models.CharField(max_length=200, blank=True)
    size = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    summary_json = models.JSONField("summary", default=dict)
    expires_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = JobQuerySet["ExportJob"].as_manager()

    class Meta(Job.Meta):
        ordering = ["-created_at", "-id"]
        constraints = [
            *Job.Meta.constraints,
            models.CheckConstraint(condition=Q(kind__in=ExportKind.values), name="export_kind_known"),
            models.CheckConstraint(
                condition=Q(kind=ExportKind.SQL, workspace__isnull=True)
                | Q(kind=ExportKind.MARKDOWN, workspace__isnull=False),
                name="export_workspace_fits_kind",
            ),
            models.CheckConstraint(
                condition=~Q(status="succeeded") | (~Q(file="") & ~Q(sha256="") & Q(size__isnull=False)),
                name="export_success_has_an_artifact",
            ),
        ]
        indexes = [
            *Job.Meta.indexes,
            models.Index(fields=["workspace", "-created_at", "-id"], name="export_recent"),
        ]
