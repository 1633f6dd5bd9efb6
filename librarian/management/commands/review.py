"""Look at and decide proposals from the console."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from kjxlkj.errors import DomainError, NotFound
from kjxlkj.workspaces.console import actor_at_console, workspace_at_console
from kjxlkj.workspaces.models import Workspace
from librarian.console import tell
from librarian.models import Operation, Via
from librarian.services import APPLY, REJECT, Decision, review


class Command(BaseCommand):
    help = (
        "List a workspace's pending proposals, one JSON object a line, or decide those that are named. "
        "Exit status 1 if any decision could not be carried out; each says why."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--apply", nargs="+", type=UUID, default=[], metavar="ID", help="Accept these operations.")
        parser.add_argument("--reject", nargs="+", type=UUID, default=[], metavar="ID", help="Reject these operations.")
        parser.add_argument("--reason", default="", help="Why they are rejected.")
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="Decide as this person, with their rights.")

    def handle(self, *args: Any, **options: Any) -> None:
        reason = options["reason"]
        decisions = [Decision(operation_id, APPLY, via=Via.COMMAND) for operation_id in options["apply"]]
        decisions += [Decision(operation_id, REJECT, reason, via=Via.COMMAND) for operation_id in options["reject"]]
        try:
            workspace = workspace_at_console(options["workspace"])
            if not decisions:
                self._list(Operation.objects.pending().filter(workspace=workspace).in_order().iterator())
                return
            _check_all_in(workspace, [decision.operation_id for decision in decisions])
            outcomes = review(decisions, actor=actor_at_console(options["email"]))
        except DomainError as error:
            raise CommandError(f"{error.message} [{error.code}]", returncode=2) from error
        tell(self, outcomes, "Some decisions were not carried out.")

    def _list(self, operations: Iterator[Operation]) -> None:
        for operation in operations:
            said = {
                "id": str(operation.id),
                "kind": operation.kind,
                "path": operation.target_path,
                "title": operation.title,
                "tags": operation.tags,
                "links": operation.links,
                "confidence": operation.confidence,
                "reason": operation.reason,
            }
            self.stdout.write(json.dumps(said, ensure_ascii=False))


def _check_all_in(workspace: Workspace, ids: list[UUID]) -> None:
    there = set(Operation.objects.filter(workspace=workspace, id__in=ids).values_list("id", flat=True))
    missing = [str(operation_id) for operation_id in ids if operation_id not in there]
    if missing:
        raise NotFound("OPERATION_NOT_FOUND", f"Workspace {workspace.slug} has no operation {', '.join(missing)}.")
