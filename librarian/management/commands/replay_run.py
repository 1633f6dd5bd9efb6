"""Makes a run's operations anew from its stored answers, and compares."""

import json
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from automation.models import Run
from librarian.replay import replay


class Command(BaseCommand):
    help = "Read a run's stored answers again, calling nobody and writing nothing. Exit status 1 if something differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", help="The run's id.")
        parser.add_argument("--json", action="store_true", help="Print the operations as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        result = replay(_run(options["run"]))
        if options["json"]:
            told = {"identical": result.is_identical, "was": result.was, "now": result.now}
            told["differences"] = "\n".join(result.differences)
            self.stdout.write(json.dumps(told, ensure_ascii=False, indent=2))
        else:
            self._tell(result)
        if not result.is_identical:
            raise CommandError("The replay differs from what the run proposed.")

    def _tell(self, result: Any) -> None:
        for trouble in result.troubles:
            self.stdout.write(f"No usable answer: {trouble}")
        for line in result.differences:
            self.stdout.write(line)
        if result.is_identical:
            self.stdout.write(f"Byte-identical: {len(result.operations)} operations, sha256 {result.now}.")
        elif result.parser_then != result.parser_now:
            self.stdout.write(f"The run was read by parser {result.parser_then}, this is parser {result.parser_now}.")


def _run(given: str) -> Run:
    try:
        run = Run.objects.filter(pk=UUID(given)).first()
    except ValueError as error:
        raise CommandError(f"run: “{given}” is not a run's id. Copy it from the run's page.") from error
    if run is None:
        raise CommandError(f"run: there is no run {given}.")
    if run.rule_snapshot.get("action_json", {}).get("kind") != "librarian_structure":
        raise CommandError("run: it is not the librarian's. Only its runs have answers to replay.")
    return run
