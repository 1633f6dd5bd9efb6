"""Wiring of the benchmarks' app."""

from django.apps import AppConfig


class ErrandsConfig(AppConfig):
    name = "benchmarks.errands"
    label = "errands"

    def ready(self) -> None:
        # Models cannot be imported earlier.
        from benchmarks.errands import work
        from benchmarks.errands.models import Errand
        from kjxlkj.jobs import registry

        registry.register(registry.JobKind(Errand, work.work, work.announce))
