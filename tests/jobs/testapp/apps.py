"""Wiring of the test app."""

from django.apps import AppConfig


class TestappConfig(AppConfig):
    name = "tests.jobs.testapp"
    label = "testapp"

    def ready(self) -> None:
        # Models cannot be imported earlier.
        from kjxlkj.jobs import registry
        from tests.jobs.testapp import work
        from tests.jobs.testapp.models import Errand

        registry.register(registry.JobKind(Errand, work.work, work.announce))
