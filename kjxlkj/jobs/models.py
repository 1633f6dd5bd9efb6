"""The life that runs and exports share, and the canaries that show whether workers are alive."""

from typing import TypeVar

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from kjxlkj.ids import new_id
from kjxlkj.request_id import current_request_id

DEFAULT_QUEUE = "default"
# Of jobs that keep a worker busy for minutes, and of those that mostly wait for a model: each may have workers of its
# own, and is served by the default queue's where it has none.
LONG_QUEUE = "long"
LLM_QUEUE = "llm"

# The code of a job that waits for something that is taken, through all its coming and going.
POSTPONED = "POSTPONED"


class JobStatus(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


FINISHED = (JobStatus.SUCCEEDED, JobStatus.FAILED)

TRANSITIONS = (
    (JobStatus.QUEUED, JobStatus.RUNNING),
    (JobStatus.RUNNING, JobStatus.SUCCEEDED),
    (JobStatus.RUNNING, JobStatus.FAILED),
    (JobStatus.RUNNING, JobStatus.QUEUED),
    (JobStatus.QUEUED, JobStatus.FAILED),
)

_NO_TRANSITION = "OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN ({})".format(
    ", ".join(f"('{before.value}', '{after.value}')" for before, after in TRANSITIONS)
)

J = TypeVar("J", bound="Job")


class JobQuerySet(models.QuerySet[J]):
    def unfinished(self) -> "JobQuerySet[J]":
        # Either has an index of its own, and what is neither finished status has none.
        return self.filter(Q(status=JobStatus.QUEUED) | Q(status=JobStatus.RUNNING))

    def finished(self) -> "JobQuerySet[J]":
        return self.filter(status__in=FINISHED)

    def due(self) -> "JobQuerySet[J]":
        """Queued, and nothing to wait for."""
        return self.filter(Q(not_before=None) | Q(not_before__lte=Now()), status=JobStatus.QUEUED)

    def live(self) -> "JobQuerySet[J]":
        """Somebody works at it, as far as its lease tells."""
        return self.filter(status=JobStatus.RUNNING, lease_expires_at__gt=Now())

    def expired(self) -> "JobQuerySet[J]":
        """Somebody worked at it and has not been heard of since."""
        return self.filter(status=JobStatus.RUNNING, lease_expires_at__lte=Now())


class Job(models.Model):
    """A piece of work with one life: queued → running → succeeded | failed, and back to queued to try again.

    A concrete job inherits the rules with `class Meta(Job.Meta)`, adds to them with
    `constraints = [*Job.Meta.constraints, …]` (`indexes`, `triggers` alike), and has its kind registered in
    `kjxlkj.jobs.registry`. `kjxlkj.jobs.services` alone moves it from one status to another.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    status = models.CharField(max_length=16, choices=JobStatus, default=JobStatus.QUEUED, editable=False)
    # Which workers may take it; a queue that no cluster serves by name is served by the default one.
    queue = models.CharField(max_length=32, default=DEFAULT_QUEUE, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    max_attempts = models.PositiveSmallIntegerField(default=3, editable=False)
    # Attempts that were cut off by what was hardly the job's fault, and are not among `attempts`.
    interruptions = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    not_before = models.DateTimeField(null=True, editable=False)
    # The queue message that will wake a worker for this row. While the row waits and that message is gone,
    # nothing will: the sweep posts another. No foreign key, for messages come and go without asking.
    message_id = models.BigIntegerField(null=True, editable=False)

    lease_token = models.UUIDField(null=True, editable=False)
    # `<cluster>/<process id>` of the holder, so that a supervisor can tell which leases its dead workers held.
    lease_owner = models.CharField(max_length=160, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    cancel_requested = models.BooleanField(default=False, editable=False)

    progress_done = models.PositiveIntegerField(default=0, editable=False)
    progress_total = models.PositiveIntegerField(null=True, editable=False)
    progress_label = models.CharField(max_length=200, blank=True, editable=False)

    # Of the failure that ended it; while it is queued again, of the failure that sent it back. POSTPONED stays until
    # it ends: coming and going of a job that waits for something is no news.
    error_code = models.CharField(max_length=64, blank=True, editable=False)
    error_detail = models.TextField(blank=True, editable=False)

    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    request_id = models.CharField(max_length=128, blank=True, default=current_request_id, editable=False)
    # Every time is the database's: the hosts' clocks may differ.
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    objects = JobQuerySet.as_manager()

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=JobStatus.values), name="%(app_label)s_%(class)s_status_known"
            ),
            models.CheckConstraint(
                condition=Q(
                    status=JobStatus.RUNNING,
                    lease_token__isnull=False,
                    lease_expires_at__isnull=False,
                    started_at__isnull=False,
                    attempts__gte=1,
                )
                | (~Q(status=JobStatus.RUNNING) & Q(lease_token=None, lease_expires_at=None, lease_owner="")),
                name="%(app_label)s_%(class)s_leased_while_running",
            ),
            models.CheckConstraint(
                condition=Q(status__in=FINISHED, finished_at__isnull=False)
                | (~Q(status__in=FINISHED) & Q(finished_at=None)),
                name="%(app_label)s_%(class)s_finish_has_a_time",
            ),
            models.CheckConstraint(
                condition=(~Q(status=JobStatus.FAILED) | ~Q(error_code=""))
                & (~Q(status=JobStatus.SUCCEEDED) | Q(error_code="")),
                name="%(app_label)s_%(class)s_failure_has_a_code",
            ),
            models.CheckConstraint(
                condition=Q(attempts__lte=F("max_attempts"), max_attempts__gte=1)
                # A queued job with no attempt left would wait for ever.
                & (~Q(status=JobStatus.QUEUED) | Q(attempts__lt=F("max_attempts"))),
                name="%(app_label)s_%(class)s_attempts_bounded",
            ),
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(status="queued"), name="%(app_label)s_%(class)s_queued"),
            models.Index(
                fields=["lease_expires_at"], condition=Q(status="running"), name="%(app_label)s_%(class)s_leases"
            ),
            # What ended lately, among millions that ended once.
            models.Index(
                fields=["finished_at"],
                condition=Q(finished_at__isnull=False),
                name="%(app_label)s_%(class)s_finished",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="born_queued", operation=pgtrigger.Insert, condition=~pgtrigger.Q(new__status="queued")
            ),
            pgtrigger.FSM(
                name="status_moves",
                field="status",
                transitions=[(a.value, b.value) for a, b in TRANSITIONS],
                # Asked first, for it says the same and takes a tenth of the time of the function.
                condition=pgtrigger.Condition(_NO_TRANSITION),
            ),
        ]

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED


class Slot(models.Model):
    """A place at something that serves only so many at once over all hosts, such as a provider of a language model.

    It is taken for as long as the lease is live that bears its token: whatever ends the lease frees the slot.
    """

    resource = models.CharField(max_length=100, db_index=True)
    lease_token = models.UUIDField()
    taken_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.resource


class Canary(models.Model):
    """A question that one cluster alone can answer, asked again and again: the proof that it still works.

    Its answer travels the whole way of a job: queue, pusher, worker, result, acknowledgement.
    """

    # Name of the cluster, which is also the name of the queue that only this cluster listens to.
    cluster = models.CharField(max_length=100, primary_key=True)
    queue = models.CharField(max_length=32, default=DEFAULT_QUEUE)
    workers = models.PositiveSmallIntegerField()
    message_id = models.BigIntegerField(null=True)
    started_at = models.DateTimeField(db_default=Now())
    asked_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    # Its latest sign of life that was noticed: an answer that went the whole way, its acknowledgement too, or, where
    # no worker was free to answer, the renewal of a lease.
    well_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "canaries"

    def __str__(self) -> str:
        return self.cluster
