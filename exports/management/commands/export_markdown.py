"""Take a workspace's notes out, here and now."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exports.audit import record_file
from exports.markdown_export import write_archive, write_folder
from exports.models import ExportKind
from exports.updating import Outcome
from kjxlkj.errors import DomainError
from kjxlkj.storing import whole_file
from kjxlkj.workspaces.console import actor_at_console, workspace_at_console
from kjxlkj.workspaces.models import Workspace
from kjxlkj.workspaces.roles import Right, require

_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Write a workspace's notes and attachments to an archive or into a folder. Needs no worker; the same state, the"
        " same bytes. Into a folder only what changed is written, and only what an export wrote is removed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument(
            "--to",
            required=True,
            type=Path,
            metavar="FILE.zip|FOLDER",
            help="An archive is replaced whole if it is there; a folder is brought up to date.",
        )
        parser.add_argument(
            "--filter", default="{}", metavar="JSON", help='Which notes, as in rules: {"folder": "runbooks"}.'
        )
        parser.add_argument("--dry-run", action="store_true", help="Of a folder: write nothing; say what would be.")
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="Act as this person, with their rights.")

    def handle(self, *args: Any, **options: Any) -> None:
        target: Path = options["to"]
        is_archive = target.suffix.lower() == ".zip" and not target.is_dir()
        if is_archive and options["dry_run"]:
            raise CommandError("--dry-run: it is for folders; an archive is always written whole.", returncode=2)
        try:
            workspace = workspace_at_console(options["workspace"])
            actor = actor_at_console(options["email"])
            require(actor, workspace, Right.MANAGE)
            export = self._archive if is_archive else self._folder
            export(target, workspace, json.loads(options["filter"]), options)
            if not options["dry_run"]:
                record_file(ExportKind.MARKDOWN, target, actor=actor, workspace=workspace)
        except json.JSONDecodeError as error:
            raise CommandError(f"--filter: not JSON ({error}).", returncode=2) from error
        except DomainError as error:
            raise CommandError(f"{error.message} [{error.code}]", returncode=2) from error
        except OSError as error:
            raise CommandError(f"--to: {target} cannot be written: {error.strerror}.") from error

    def _archive(self, target: Path, workspace: Workspace, condition: Any, options: dict[str, Any]) -> None:
        with _progress() as on_progress, whole_file(target) as file:
            summary = write_archive(file, workspace, condition, on_progress)
        self.stdout.write(f"{summary.notes} notes and {summary.attachments} attachments are in {target}.")

    def _folder(self, target: Path, workspace: Workspace, condition: Any, options: dict[str, Any]) -> None:
        with _progress() as on_progress:
            outcome = write_folder(target, workspace, condition, dry_run=options["dry_run"], on_progress=on_progress)
        self._tell(outcome, options["verbosity"])
        if options["dry_run"]:
            self.stdout.write("This was a dry run: nothing was written.")

    def _tell(self, outcome: Outcome, verbosity: int) -> None:
        paths = outcome.changed_by_hand
        shown = len(paths) if verbosity > 1 else _SHOWN
        for path in paths[:shown]:
            self.stderr.write(f"changed by hand since the last export, and now as the workspace has it: {path}")
        if (more := len(paths) - shown) > 0:
            self.stderr.write(f"{more} more were changed by hand; --verbosity 2 shows them all.")
        self.stdout.write(
            f"Files: {outcome.written} written, {outcome.unchanged} unchanged, {outcome.removed} removed."
        )


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    from tqdm import tqdm

    # `disable=None` shows it on a terminal only.
    with tqdm(unit=" files", disable=None, leave=False) as bar:

        def on_progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield on_progress
