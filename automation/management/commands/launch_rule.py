"""Start a rule from the console."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from automation.models import Rule
from automation.services import launch_rule
from kjxlkj.errors import DomainError, NotFound
from kjxlkj.workspaces.console import actor_at_console, workspace_at_console
from kjxlkj.workspaces.models import Workspace


class Command(BaseCommand):
    help = "Launch a rule for every note that meets its condition. Prints the ids of its runs; workers execute them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rule", help="The rule's name or id.")
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="Act as this person, with their rights.")

    def handle(self, *args: Any, rule: str, workspace: str, email: str | None, **options: Any) -> None:
        try:
            found = _rule(workspace_at_console(workspace), rule)
            launch = launch_rule(found, actor=actor_at_console(email))
        except DomainError as error:
            raise CommandError(f"{error.message} [{error.code}]") from error
        for run in launch.runs:
            self.stdout.write(str(run.id))


def _rule(workspace: Workspace, wanted: str) -> Rule:
    rules = {rule.name: rule for rule in Rule.objects.live().filter(workspace=workspace)}
    by_id = {str(rule.id): rule for rule in rules.values()}
    found = rules.get(wanted) or by_id.get(wanted)
    if found is None:
        known = ", ".join(sorted(rules)) or "none yet"
        raise NotFound("RULE_NOT_FOUND", f"Workspace {workspace.slug} has no rule “{wanted}”. There are: {known}.")
    return found
