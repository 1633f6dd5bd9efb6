"""`manage.py supervise`: workers only, on any host with the same database."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from kjxlkj.jobs.supervisor import Supervisor


class Command(BaseCommand):
    help = "Runs workers, watches over them and starts them anew when they die or stall; Ctrl-C stops them in order."
    # They need a database each, and cost a second of every start: `manage.py check` is there for them.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        workers = ", ".join(f"{queue}: {number}" for queue, number in settings.JOB_QUEUES.items() if number)
        if not workers:
            raise CommandError("KJXLKJ_QUEUES gives this host no workers. Name a queue with more than 0.")
        self.stdout.write(f"Workers by queue: {workers}. Ctrl-C stops them.")
        self.stdout.flush()
        Supervisor(bind=None, queues=settings.JOB_QUEUES).run()
