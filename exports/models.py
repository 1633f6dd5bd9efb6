"""Export jobs and the artifacts that they leave."""

from typing import Any, ClassVar

import pgtrigger
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from automation.models import Run
from kjxlkj.ids import new_id
from kjxlkj.jobs.models import Job, JobQuerySet
from kjxlkj.workspaces.models import User, Workspace


class ExportKind(models.TextChoices):
    MARKDOWN = "markdown", "Markdown"
    SQL = "sql", "SQL backup"
    VERIFY = "verify", "Check of a backup"


class ExportJob(Job):
    """A Markdown archive of a workspace (or of the notes a filter names), or a backup of the whole instance, or the
    check that such a backup comes back."""

    kind = models.CharField(max_length=16, choices=ExportKind.choices)
    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="exports",
        help_text="None for what is of the whole instance.",
    )
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.PROTECT, related_name="exports")
    condition_json = models.JSONField("condition", default=dict, blank=True)
    file = models.FileField(max_length=300, blank=True)
    filename = models.CharField(max_length=200, blank=True)
    size = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    summary_json = models.JSONField("summary", default=dict)
    subject = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="checks", help_text="What is checked."
    )
    verified_at = models.DateTimeField(null=True, help_text="When it was last restored to see whether it comes back.")
    verification_json = models.JSONField(
        "verification",
        default=dict,
        db_default=Value({}, models.JSONField()),
        help_text='What came of that: {"ok", "tables", "differences": [{"table", "what", "expected", "found"}]}.',
    )
    expires_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True, help_text="When its artifact was taken out of the storage.")

    objects: ClassVar[Any] = JobQuerySet["ExportJob"].as_manager()

    class Meta(Job.Meta):
        ordering = ["-created_at", "-id"]
        constraints = [
            *Job.Meta.constraints,
            models.CheckConstraint(condition=Q(kind__in=ExportKind.values), name="export_kind_known"),
            models.CheckConstraint(
                condition=Q(kind__in=[ExportKind.SQL, ExportKind.VERIFY], workspace__isnull=True)
                | Q(kind=ExportKind.MARKDOWN, workspace__isnull=False),
                name="export_workspace_fits_kind",
            ),
            models.CheckConstraint(
                condition=~Q(status="succeeded")
                | Q(kind=ExportKind.VERIFY)
                | (~Q(file="") & ~Q(sha256="") & Q(size__isnull=False)),
                name="export_success_has_an_artifact",
            ),
            models.CheckConstraint(
                condition=Q(kind=ExportKind.VERIFY, subject__isnull=False)
                | (~Q(kind=ExportKind.VERIFY) & Q(subject__isnull=True)),
                name="export_check_has_a_subject",
            ),
        ]
        indexes = [
            *Job.Meta.indexes,
            models.Index(fields=["workspace", "-created_at", "-id"], name="export_recent"),
        ]


class AuditAction(models.TextChoices):
    REQUESTED = "requested"
    DOWNLOADED = "downloaded"
    VERIFIED = "verified"
    RESTORED = "restored"
    DELETED = "deleted"


class AuditEntry(models.Model):
    """Who did what with all that leaves the instance and comes back, when and from where. Never changed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(db_default=Now())
    action = models.CharField(max_length=16, choices=AuditAction.choices)
    job = models.ForeignKey(ExportJob, null=True, on_delete=models.PROTECT, related_name="audit")
    workspace = models.ForeignKey(
        Workspace,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Whose export it was; none for what is of the whole instance.",
    )
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+", help_text="None: by itself.")
    via = models.CharField(max_length=16, help_text="api, admin, command, rule, worker or retention.")
    address = models.GenericIPAddressField(null=True, help_text="Where the request came from.")
    request_id = models.CharField(max_length=128, blank=True)
    detail = models.JSONField(default=dict, help_text="What else is to be known, as a file's name and sha256.")

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(action__in=AuditAction.values), name="audit_action_known"),
        ]
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_recent"),
            models.Index(fields=["workspace", "-at", "-id"], name="audit_of_workspace"),
        ]
        triggers = [pgtrigger.Protect(name="audit_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor or 'itself'}"
