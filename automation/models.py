"""Rules, the runs that they start, and the notes each run is about."""

from typing import Any, ClassVar

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from kjxlkj.ids import new_id
from kjxlkj.jobs.models import Job, JobQuerySet, JobStatus
from kjxlkj.notes.models import Note
from kjxlkj.workspaces.models import User, Workspace, WorkspaceEvent


class RuleQuerySet(models.QuerySet["Rule"]):
    def live(self) -> "RuleQuerySet":
        return self.filter(deleted_at__isnull=True)

    def enabled(self) -> "RuleQuerySet":
        return self.live().filter(enabled=True)


class Rule(models.Model):
    """Trigger → condition → action. Deleted softly: its runs go on telling which rule they were."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="rules")
    name = models.CharField(max_length=200)
    trigger = models.CharField(max_length=64, default="manual")
    schedule = models.CharField(
        max_length=100, blank=True, help_text="A cron line in the workspace's time zone, for the trigger “schedule”."
    )
    # The next moment that the schedule names, and the time zone that it was read in. Who moves it on launches the
    # rule in the same transaction.
    next_tick_at = models.DateTimeField(null=True, blank=True, editable=False)
    tick_zone = models.CharField(max_length=64, blank=True, db_default="", default="", editable=False)
    condition_json = models.JSONField("condition", default=dict, blank=True)
    action_json = models.JSONField("action", default=dict)
    enabled = models.BooleanField(default=True)
    settle_seconds = models.PositiveIntegerField(
        default=5,
        help_text="A run starts this long after its first event, so that a burst of events shares one run.",
    )
    max_sources = models.PositiveIntegerField(
        null=True, blank=True, help_text="Notes in one run at the most. Empty: the action's own default."
    )
    on_automation = models.BooleanField(
        default=False, help_text="Also fire for changes that a run made (never deeper than three runs)."
    )
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "name"], condition=Q(deleted_at__isnull=True), name="rule_name_once"
            ),
            models.CheckConstraint(
                condition=Q(max_sources__isnull=True) | Q(max_sources__gte=1),
                name="rule_max_sources_positive",
            ),
            models.CheckConstraint(
                condition=Q(trigger="schedule") | Q(next_tick_at=None), name="rule_only_schedules_tick"
            ),
        ]
        indexes = [
            models.Index(
                fields=["workspace", "trigger"],
                condition=Q(enabled=True, deleted_at__isnull=True),
                name="rule_by_trigger",
            ),
            models.Index(
                fields=["next_tick_at"],
                condition=Q(enabled=True, deleted_at__isnull=True, next_tick_at__isnull=False),
                name="rule_by_tick",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RunTrigger(models.TextChoices):
    MANUAL = "manual"
    EVENT = "event"
    SCHEDULE = "schedule"
    RETRY = "retry"


class Run(Job):
    """One execution of a rule's action over some notes. `rule_snapshot` is the rule as it was when it fired."""

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="runs")
    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, related_name="runs")
    triggering_event = models.ForeignKey(WorkspaceEvent, null=True, on_delete=models.PROTECT, related_name="+")
    trigger = models.CharField(max_length=16, choices=RunTrigger.choices)
    depth = models.PositiveSmallIntegerField(default=0, help_text="How many runs stand between this and a person.")
    # Rules whose runs stand between this run and a person, the first of them first: none of them may fire again.
    chain = ArrayField(models.UUIDField(), default=list, db_default=[], editable=False)
    tick_at = models.DateTimeField(null=True, editable=False, help_text="The moment of its schedule that it is for.")
    # How many notes it is about: to count its sources with each event would take longer the more there are.
    source_count = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    # The day among whose runs it counts: once, before work starts, however often it is tried.
    reserved_on = models.DateField(null=True, editable=False)
    batch = models.UUIDField(null=True, db_index=True, help_text="Shared by the runs of one launch.")
    rule_snapshot = models.JSONField(default=dict)
    result_json = models.JSONField("result", default=dict)

    objects: ClassVar[Any] = JobQuerySet["Run"].as_manager()

    class Meta(Job.Meta):
        ordering = ["-created_at", "-id"]
        constraints = [
            *Job.Meta.constraints,
            models.CheckConstraint(condition=Q(trigger__in=RunTrigger.values), name="run_trigger_known"),
        ]
        indexes = [
            *Job.Meta.indexes,
            models.Index(fields=["workspace", "-created_at", "-id"], name="run_recent"),
            models.Index(fields=["rule", "status"], name="run_by_rule"),
        ]

    @property
    def outcome(self) -> str:
        """How it ended, or where it is, in one sentence."""
        if not self.is_finished:
            return "Waits for a worker." if self.status == JobStatus.QUEUED else "Is at work."
        if self.status == JobStatus.FAILED:
            return self.error_detail.strip().rpartition("\n")[2] or self.error_code
        # Lists have read the sentence alone (`automation.trace.with_outcome`), in place of the whole result.
        read = vars(self)
        return (read["told"] if "told" in read else self.result_json.get("outcome")) or "Done."


class DailyUse(models.Model):
    """What the runs of a rule have used, or reserved, on one day of the workspace's calendar. Costs in US dollars."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="daily_use")
    day = models.DateField()
    runs = models.PositiveIntegerField(default=0)
    tokens = models.PositiveBigIntegerField(default=0)
    cost = models.DecimalField(max_digits=14, decimal_places=6, default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "day"], name="daily_use_once")]
        indexes = [models.Index(fields=["day"], name="daily_use_by_day")]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.day}"


class RunSource(models.Model):
    """A note that a run is about, and the event that brought it there.

    The constraint on (rule, event) is the idempotence of rules: one event counts once, whatever is delivered
    twice or at the same time.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="sources")
    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, related_name="+")
    note = models.ForeignKey(Note, on_delete=models.PROTECT, related_name="+")
    event = models.ForeignKey(WorkspaceEvent, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "event"], name="rule_event_once"),
            models.UniqueConstraint(fields=["run", "note"], condition=Q(event__isnull=True), name="run_note_once"),
        ]
        triggers = [pgtrigger.Protect(name="run_source_fixed", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.note_id}"
