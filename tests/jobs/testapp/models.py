"""A job whose behaviour a test chooses, and effects that can be counted."""

from django.db import models

from kjxlkj.jobs.models import Job


class Errand(Job):
    """Does what its `script` says (see `tests.jobs.testapp.apps`)."""

    script = models.CharField(max_length=40)
    argument = models.CharField(max_length=200, blank=True)

    class Meta(Job.Meta):
        pass


class Effect(models.Model):
    """One row for each time that the effects of an errand were committed."""

    errand = models.ForeignKey(Errand, on_delete=models.CASCADE, related_name="effects")
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"effect of {self.errand_id}"


class Announcement(models.Model):
    """One row for each transition that was announced."""

    errand = models.ForeignKey(Errand, on_delete=models.CASCADE, related_name="announcements")
    previous = models.CharField(max_length=16, blank=True)
    status = models.CharField(max_length=16)

    def __str__(self) -> str:
        return f"{self.previous} -> {self.status}"
