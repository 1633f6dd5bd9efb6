"""What the librarian proposed, what it asked and was told, and what people made of it."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now
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


class RunReport(models.Model):
    """How a run's answers came about, well or not. What became of them, the operations tell."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True, related_name="report")
    provider_kind = models.CharField(max_length=32)
    model = models.CharField(max_length=200, blank=True, help_text="The model that answered, most of the time.")
    answers = models.JSONField(default=dict, db_default=Value({}, models.JSONField()), help_text="How many, by model.")
    fallback = models.CharField(
        max_length=32, blank=True, db_default="", default="", help_text="Who answered in the provider's place."
    )
    prompt_hash = models.CharField(max_length=64, blank=True)
    prompt_pack_version = models.CharField(max_length=64, blank=True)
    parser_version = models.CharField(max_length=16)
    parsed_count = models.PositiveIntegerField(default=0)
    # sha256 over the operations as they were answered: what a replay has to come to, to the byte.
    operations_sha256 = models.CharField(max_length=64, blank=True, db_default="", default="")
    warnings = models.JSONField(default=list)
    failures = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        help_text='Requests without a usable answer: [{"index", "code", "detail", "note_ids"}].',
    )
    requests = models.PositiveIntegerField(default=0, db_default=0, help_text="Made, repairs and repetitions too.")
    latency_ms = models.PositiveBigIntegerField(default=0, db_default=0, help_text="Of all requests together.")
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    completion_tokens = models.PositiveBigIntegerField(default=0)
    cost = models.DecimalField(max_digits=12, decimal_places=6, null=True, help_text="US dollars; null: not known.")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.provider_kind} {self.model}".strip()


class Failure(models.TextChoices):
    """Why no answer came: the categories of the protocol."""

    AUTH_FAILED = "auth_failed"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    INVALID_PAYLOAD = "invalid_payload"


class Exchange(models.Model):
    """One request to a provider and what came back, whole: a run can be replayed from these without a call.

    The row is committed before the request is sent, with what is charged for it at the most: one without an
    `answered_at` may have been answered, and paid for, without our having heard of it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="exchanges")
    stage = models.CharField(max_length=32, help_text="plan, propose or validate_repair.")
    index = models.PositiveIntegerField(help_text="Which of the run's requests this is.")
    attempt = models.PositiveSmallIntegerField(default=1)
    provider_kind = models.CharField(max_length=32)
    host = models.CharField(max_length=255, blank=True, db_default="", default="", help_text="Where it was sent.")
    model = models.CharField(max_length=200, blank=True, help_text="That was asked for.")
    answered_model = models.CharField(
        max_length=200, blank=True, db_default="", default="", help_text="That answered, as the server says."
    )
    parameters = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    sources = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        help_text='The notes it is about: [{"note_id", "version", "cut"}].',
    )
    system_prompt = models.TextField(blank=True, db_default="", default="")
    prompt = models.TextField()
    response = models.TextField(blank=True, help_text="The answer's text; of a failure, the beginning of what came.")
    reasoning = models.TextField(blank=True, db_default="", default="")
    finish_reason = models.CharField(max_length=32, blank=True, db_default="", default="")
    failure = models.CharField(max_length=32, blank=True, help_text="Failure category; empty: an answer came.")
    failure_detail = models.TextField(blank=True, db_default="", default="")
    http_status = models.PositiveSmallIntegerField(null=True)
    latency_ms = models.PositiveIntegerField(default=0)
    estimated_tokens = models.PositiveIntegerField(default=0, db_default=0, help_text="Of the prompt, by our estimate.")
    usage_reported = models.BooleanField(default=False, db_default=False)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    # What the budgets hold for it: the most that it may come to until it is answered, then what it came to.
    charged_tokens = models.PositiveIntegerField(default=0, db_default=0)
    charged_cost = models.DecimalField(max_digits=12, decimal_places=6, default=0, db_default=0)
    charged_on = models.DateField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True, help_text="Or failed.")

    class Meta:
        ordering = ["run", "index", "attempt", "created_at"]
        constraints = [
            models.UniqueConstraint(fields=["run", "stage", "index", "attempt"], name="exchange_once"),
            models.CheckConstraint(condition=Q(failure__in=["", *Failure.values]), name="exchange_failure_known"),
        ]

    def __str__(self) -> str:
        return f"{self.stage} {self.index}.{self.attempt}"


class Disclosure(models.Model):
    """That the text of a note, or its name and tags, went to a host. Written before it went, and never changed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="+")
    note = models.ForeignKey(Note, on_delete=models.PROTECT, related_name="disclosures")
    note_version = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, help_text="Of the note's text at that version.")
    part = models.CharField(
        max_length=16,
        choices=[("text", "its text"), ("mention", "its title, path, tags or first words")],
        help_text="What of it was sent.",
    )
    host = models.CharField(max_length=255)
    # No foreign keys: the ledger outlives the runs that are cleared away.
    run_id = models.UUIDField()
    exchange_id = models.UUIDField()
    sent_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name, verbose_name_plural = "note that was sent", "notes that were sent"
        ordering = ["-sent_at", "-id"]
        indexes = [
            models.Index(fields=["note", "-sent_at"], name="disclosure_by_note"),
            models.Index(fields=["workspace", "-sent_at", "-id"], name="disclosure_recent"),
        ]
        triggers = [pgtrigger.Protect(name="disclosure_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.note_id} version {self.note_version} to {self.host}"


class PromptPack(models.Model):
    """A workspace's own prompts. Numbered and never changed: what a run was asked with can always be read."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="prompt_packs")
    number = models.PositiveIntegerField()
    files = models.JSONField(help_text='File name → content, "manifest.json" among them.')
    sha256 = models.CharField(max_length=64)
    active = models.BooleanField(default=True, help_text="At most one of a workspace; none: the built-in one.")
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["workspace", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "number"], name="prompt_pack_number_once"),
            models.UniqueConstraint(fields=["workspace"], condition=Q(active=True), name="prompt_pack_active_once"),
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.number}"
