"""The job that is measured."""

from django.db import models

from kjxlkj.jobs.models import Job


class Errand(Job):
    # Told to whoever listens when work begins (`benchmarks.signs`); None: none is given.
    sign = models.PositiveIntegerField(null=True)
    seconds = models.FloatField(default=0)

    class Meta(Job.Meta):
        pass
