"""What the librarian proposed, what it asked and was told, and what people made of it."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from automation.models import Run
from kjxlkj.ids import new_id
from kjxlkj.notes.models import Note, NoteEvent
from kjxlkj.workspaces.models import User, Workspace


class OperationKind(models.TextChoices):
    CREATE = "create_note", "create note"
    REWRITE = "rewrite_note", "rewrite"
    RETITLE = "retitle_note", "retitle"
    RELINK = "relink_note", "add links"
    RETAG = "retag_note", "retag"
    DEFER = "defer", "question"


class OperationStatus(models.TextChoices):
    PENDING = "pending"
    APPLIED = "applied"
    REJECTED = "rejected"
    REVERTED = "reverted"


class OperationQuerySet(models.QuerySet["Operation"]):
    def pending(self) -> "OperationQuerySet":
        return self.filter(status=OperationStatus.PENDING)

    def in_order(self) -> "OperationQuerySet":
        """As reviewers meet them: run after run, oldest first, each in the order of its answer."""
        return self.order_by("created_at", "run_id", "index")

    def by_machine_rejected(self) -> "OperationQuerySet":
        return self.filter(status=OperationStatus.REJECTED, decided_by__isnull=True)


class Operation(models.Model):
    """A proposed change, with everything needed to show it, decide it, apply it and undo it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="operations")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="operations")
    index = models.PositiveIntegerField(help_text="Its place in the run's answers.")
    operation_id = models.CharField(max_length=100, help_text="As the librarian called it.")
    kind = models.CharField(max_length=16, choices=OperationKind.choices)
    target_note = models.ForeignKey(Note, null=True, on_delete=models.PROTECT, related_name="operations")
    target_path = models.CharField(max_length=1024, blank=True)
    title = models.CharField(max_length=1000, blank=True)
    body_markdown = models.TextField(blank=True)
    tags = ArrayField(models.CharField(max_length=200), null=True)
    links = models.JSONField(null=True, help_text='[{"text": …, "target": …}] as proposed.')
    reason = models.TextField(blank=True)
    confidence = models.FloatField()
    base_version = models.PositiveIntegerField(null=True, help_text="The target's version that was read.")
    status = models.CharField(max_length=16, choices=OperationStatus.choices, default=OperationStatus.PENDING)
    reject_code = models.CharField(max_length=64, blank=True)
    reject_reason = models.TextField(blank=True)
    edited = models.BooleanField(default=False)
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    applied_event = models.ForeignKey(NoteEvent, null=True, on_delete=models.PROTECT, related_name="+")
    fingerprint = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "run", "index"]
        constraints = [
            models.UniqueConstraint(fields=["run", "index"], name="operation_index_once"),
            models.CheckConstraint(condition=Q(kind__in=OperationKind.values), name="operation_kind_known"),
            models.CheckConstraint(condition=Q(status__in=OperationStatus.values), name="operation_status_known"),
            models.CheckConstraint(
                condition=Q(confidence__gte=0, confidence__lte=1), name="operation_confidence_in_range"
            ),
            models.CheckConstraint(
                condition=~Q(status=OperationStatus.APPLIED) | Q(decided_at__isnull=False),
                name="operation_applied_was_decided",
            ),
            models.CheckConstraint(
                condition=~Q(status=OperationStatus.REJECTED) | ~Q(reject_code=""),
                name="operation_rejected_has_a_code",
            ),
        ]
        indexes = [
            models.Index(
                fields=["workspace", "created_at", "run", "index"],
                condition=Q(status="pending"),
                name="operation_queue",
            ),
            models.Index(fields=["workspace", "fingerprint"], name="operation_fingerprint"),
            models.Index(fields=["run", "status"], name="operation_by_run"),
        ]
        triggers = [
            pgtrigger.FSM(
                name="operation_status_moves",
                field="status",
                transitions=[("pending", "applied"), ("pending", "rejected"), ("applied", "reverted")],
            ),
            pgtrigger.Protect(name="operation_never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.target_path or self.title}"


class RunReport(models.Model):
    """How a run's answers came about. What became of them, the operations tell."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True, related_name="report")
    provider_kind = models.CharField(max_length=32)
    model = models.CharField(max_length=200, blank=True, help_text="The model that answered.")
    prompt_hash = models.CharField(max_length=64, blank=True)
    prompt_pack_version = models.CharField(max_length=64, blank=True)
    parser_version = models.CharField(max_length=16)
    parsed_count = models.PositiveIntegerField(default=0)
    warnings = models.JSONField(default=list)
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    completion_tokens = models.PositiveBigIntegerField(default=0)
    cost = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.provider_kind} {self.model}".strip()


class Exchange(models.Model):
    """One request to a provider and what came back, whole: a run can be replayed from these without a call."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="exchanges")
    stage = models.CharField(max_length=32)
    index = models.PositiveIntegerField(help_text="Which of the run's requests this is.")
    attempt = models.PositiveSmallIntegerField(default=1)
    provider_kind = models.CharField(max_length=32)
    model = models.CharField(max_length=200, blank=True)
    prompt = models.TextField()
    response = models.TextField(blank=True)
    failure = models.CharField(max_length=32, blank=True, help_text="Failure category; empty: an answer came.")
    latency_ms = models.PositiveIntegerField(default=0)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["run", "index", "attempt", "created_at"]
        constraints = [
            models.UniqueConstraint(fields=["run", "stage", "index", "attempt"], name="exchange_once"),
            models.CheckConstraint(
                condition=Q(
                    failure__in=[
                        "",
                        "auth_failed",
                        "rate_limited",
                        "timeout",
                        "unreachable",
                        "invalid_payload",
                    ]
                ),
                name="exchange_failure_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stage} {self.index}.{self.attempt}"
