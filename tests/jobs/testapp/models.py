"""A job whose behaviour a test chooses, and effects that can be counted."""

from django.db import models

from kjxlkj.jobs.models import Job


class Moment(models.TextChoices):
    """Where a test can hold an errand (`tests.faults.gate`)."""

    CLAIM = "claim", "taken from the queue, its claim not committed"
    MIDDLE = "middle", "in the middle of its work"
    EFFECT = "effect", "its last effect written, not committed"


class Errand(Job):
    """Does what its `script` says (see `tests.jobs.testapp.work`), with an effect for each of its sources."""

    script = models.CharField(max_length=40)
    argument = models.CharField(max_length=200, blank=True)
    sources = models.PositiveSmallIntegerField(default=1)
    pause_at = models.CharField(max_length=8, blank=True, choices=Moment)

    class Meta(Job.Meta):
        pass


class Effect(models.Model):
    """One row for each time that an effect of an errand was committed. Not unique: doubles are to be seen."""

    errand = models.ForeignKey(Errand, on_delete=models.CASCADE, related_name="effects")
    source = models.PositiveSmallIntegerField(default=0)
    cluster = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"effect {self.source} of {self.errand_id}"


class Announcement(models.Model):
    """One row for each transition that was announced."""

    errand = models.ForeignKey(Errand, on_delete=models.CASCADE, related_name="announcements")
    previous = models.CharField(max_length=16, blank=True)
    status = models.CharField(max_length=16)

    def __str__(self) -> str:
        return f"{self.previous} -> {self.status}"
