"""`manage.py sweep`: what the supervisor does by itself, for whoever runs `manage.py qcluster` without one."""

from typing import Any

from django.core.management.base import BaseCommand

from kjxlkj.jobs.recovery import sweep


class Command(BaseCommand):
    help = "Takes jobs back from workers that are lost, and wakes those that nothing will wake. Once."

    def handle(self, *args: Any, **options: Any) -> None:
        swept = sweep()
        self.stdout.write(f"{swept.given_back} jobs taken back from lost workers, {swept.woken} woken")
