"""What the librarian proposed, and what people made of it."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils.text import Truncator

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


class Via(models.TextChoices):
    """How a person decided."""

    KEY = "key"
    CLICK = "click"
    BULK = "bulk", "many at once"
    API = "api", "API"
    COMMAND = "command"


class OperationQuerySet(models.QuerySet["Operation"]):
    def pending(self) -> "OperationQuerySet":
        return self.filter(status=OperationStatus.PENDING)

    def in_order(self) -> "OperationQuerySet":
        """As reviewers meet them: run after run, oldest first, each in the order of its answer."""
        return self.order_by("created_at", "run_id", "index")

    def leave_to_people(self, why: str) -> int:
        """Of those about to be applied by themselves, none is; each tells its reviewer why. Returns how many."""
        warning = Truncator(f"Not applied by itself. {why}").chars(200)
        told = Func(F("warnings"), Value(warning), function="array_append")
        return self.pending().filter(auto_apply=True).update(auto_apply=False, warnings=told)

    def can_be_undone(self) -> "OperationQuerySet":
        """Accepted by whomever, or rejected by a person; what a check rejected stays so."""
        return self.filter(
            Q(status=OperationStatus.APPLIED) | Q(status=OperationStatus.REJECTED, decided_by__isnull=False)
        )


class Batch(models.Model):
    """Operations that a person decided with one press, so that they can be undone as one."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    decision = models.CharField(max_length=8, choices=[("apply", "accepted"), ("reject", "rejected")])
    reason = models.TextField(blank=True, help_text="Why they were rejected.")
    size = models.PositiveIntegerField(help_text="How many the person decided, done or not.")
    # Those done name their batch themselves, each in the transaction that does it.
    refusals = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        help_text='What could not be done: [{"operation_id", "code", "message"}].',
    )
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["decided_by", "-created_at"], name="batch_recent")]

    def __str__(self) -> str:
        return f"{self.size} {self.get_decision_display()}"


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
    undone_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    undone_at = models.DateTimeField(null=True)
    applied_event = models.ForeignKey(NoteEvent, null=True, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, null=True, on_delete=models.PROTECT, related_name="operations")
    # How much work it was, where the instance measures that: see REVIEW_TIMES.
    shown_at = models.DateTimeField(null=True, help_text="When it came before the eyes of who decided it.")
    via = models.CharField(max_length=8, choices=Via.choices, blank=True, db_default="", default="")
    edited_characters = models.PositiveIntegerField(null=True, help_text="Put in and taken out by the reviewer.")
    fingerprint = models.CharField(max_length=64)
    change_key = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        default="",
        help_text="The same for the same change to another note, as “+billing”; empty: like no other.",
    )
    # The answer that it comes from. Of the model, the name that was asked for: that is what people chose to trust.
    exchange = models.ForeignKey("Exchange", null=True, on_delete=models.SET_NULL, related_name="operations")
    model = models.CharField(max_length=200, blank=True, db_default="", default="")
    warnings = ArrayField(
        models.CharField(max_length=200), default=list, db_default=[], help_text="What a reviewer should look at twice."
    )
    # Waits to be applied without a person: its rule says so, and its like were accepted often enough.
    auto_apply = models.BooleanField(default=False, db_default=False)
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
            models.CheckConstraint(condition=Q(via__in=["", *Via.values]), name="operation_via_known"),
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
            models.Index(
                fields=["workspace", "kind", "change_key"],
                condition=Q(status="pending") & ~Q(change_key=""),
                name="operation_alike",
            ),
            models.Index(fields=["workspace", "fingerprint"], name="operation_fingerprint"),
            models.Index(fields=["run", "status"], name="operation_by_run"),
            models.Index(
                fields=["workspace", "-decided_at"], condition=Q(decided_at__isnull=False), name="operation_decided"
            ),
            # The overview counts by these alone, and reads no texts for it.
            models.Index(
                fields=["decided_at"],
                include=["workspace", "kind", "model", "status", "edited", "decided_by", "shown_at", "via"],
                condition=Q(decided_at__isnull=False),
                name="operation_figures",
            ),
            models.Index(fields=["created_at"], condition=Q(auto_apply=True, status="pending"), name="operation_auto"),
        ]
        triggers = [
            pgtrigger.FSM(
                name="operation_status_moves",
                field="status",
                transitions=[
                    ("pending", "applied"),
                    ("pending", "rejected"),
                    ("applied", "reverted"),
                    ("rejected", "pending"),  # by mistake, and taken back
                ],
            ),
            pgtrigger.Protect(
                name="operation_check_is_final",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__status="rejected", new__status="pending", old__decided_by__isnull=True),
            ),
            pgtrigger.Protect(name="operation_never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.target_path or self.title}"
