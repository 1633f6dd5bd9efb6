"""What the librarian asked and was told, with which prompts, and which notes it told of."""

import pgtrigger
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from automation.models import Run
from kjxlkj.ids import new_id
from kjxlkj.notes.models import Note
from kjxlkj.workspaces.models import User, Workspace


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
