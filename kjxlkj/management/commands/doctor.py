"""Looks the instance over and says what to do about what it finds."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kjxlkj.health import EXAMINATIONS, check_storage, examine


class Command(BaseCommand):
    help = "Check database, migrations, workers, queues, storage of files. Exit status 1 if one of them is not well."
    # The doctor is asked when things are broken: it finds that out by itself.
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        for examination in EXAMINATIONS:
            examination.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        asked_for = [found for examination in EXAMINATIONS for found in examination.examine(options)]
        found = asked_for or [*examine().items(), ("storage", check_storage())]
        for name, check in found:
            mark = self.style.SUCCESS("well") if check.ok else self.style.ERROR("sick")
            self.stdout.write(f"{name}: {mark}. {check.message}")
            if options["verbosity"] > 1:
                for fact, value in check.facts.items():
                    self.stdout.write(f"  {fact}: {value}")
        sick = dict.fromkeys(name for name, check in found if not check.ok)
        if sick:
            raise CommandError(f"Not well: {', '.join(sick)}.")
