"""Take a workspace's notes out, here and now."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exports.markdown_export import Summary, write_archive
from kjxlkj.errors import DomainError
from kjxlkj.storing import whole_file
from kjxlkj.workspaces.console import actor_at_console, workspace_at_console
from kjxlkj.workspaces.roles import Right, require


class Command(BaseCommand):
    help = "Write an archive of a workspace's notes and attachments. Needs no worker; the same state, the same bytes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--to", required=True, type=Path, metavar="FILE.zip", help="Replaced whole if it is there.")
        parser.add_argument(
            "--filter", default="{}", metavar="JSON", help='Which notes, as in rules: {"folder": "runbooks"}.'
        )
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="Act as this person, with their rights.")

    def handle(self, *args: Any, **options: Any) -> None:
        target: Path = options["to"]
        try:
            summary = self._export(target, options)
        except json.JSONDecodeError as error:
            raise CommandError(f"--filter: not JSON ({error}).", returncode=2) from error
        except DomainError as error:
            raise CommandError(error.message, returncode=2) from error
        except OSError as error:
            raise CommandError(f"--to: {target} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"{summary.notes} notes and {summary.attachments} attachments are in {target}.")

    def _export(self, target: Path, options: dict[str, Any]) -> Summary:
        from tqdm import tqdm

        workspace = workspace_at_console(options["workspace"])
        require(actor_at_console(options["email"]), workspace, Right.MANAGE)
        condition = json.loads(options["filter"])
        # `disable=None` shows it on a terminal only.
        with tqdm(unit=" files", disable=None, leave=False) as bar, whole_file(target) as file:

            def on_progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            return write_archive(file, workspace, condition, on_progress)
