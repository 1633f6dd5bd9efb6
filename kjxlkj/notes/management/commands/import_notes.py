"""Bring a vault in."""

import json
import os
import zipfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kjxlkj.errors import DomainError
from kjxlkj.notes.import_report import ImportReport
from kjxlkj.notes.importing import import_vault
from kjxlkj.notes.sources import AUTO, SOURCES
from kjxlkj.notes.vault import read_vault
from kjxlkj.storing import whole_file
from kjxlkj.workspaces.console import actor_at_console, new_workspace_at_console, workspace_at_console
from kjxlkj.workspaces.models import Workspace

_WARNINGS_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Import a folder or zip of Markdown notes and the files beside them. Importing the same again changes nothing."
        " Exit status: 0 all was taken, 1 some files were refused (each is named), 2 nothing was done."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="A folder or a zip.")
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument(
            "--from",
            dest="source",
            choices=[AUTO, *SOURCES],
            default=AUTO,
            help="What wrote it (default: by its signs).",
        )
        parser.add_argument(
            "--report", type=Path, metavar="FILE.json", help="Write all that was refused or could not be carried over."
        )
        parser.add_argument("--create", action="store_true", help="Make the workspace if it is not there.")
        parser.add_argument(
            "--delete-missing", action="store_true", help="Delete (softly) notes and attachments without a file."
        )
        parser.add_argument("--dry-run", action="store_true", help="Write nothing; say what would be written.")
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="Act as this person, with their rights.")

    def handle(self, *args: Any, **options: Any) -> None:
        target: Path | None = options["report"]
        if target and not target.parent.is_dir():
            raise CommandError(f"--report: there is no folder {target.parent}. Make it first.", returncode=2)
        try:
            report = self._import(options)
        except DomainError as error:
            raise CommandError(f"{error.message} [{error.code}]", returncode=2) from error
        self._tell(report, dry_run=options["dry_run"], verbosity=options["verbosity"])
        self._tell_source(report, target)
        if report.refused:
            raise CommandError(f"{len(report.refused)} files were refused.", returncode=1)

    def _import(self, options: dict[str, Any]) -> ImportReport:
        from tqdm import tqdm

        path: Path = options["path"]
        read_vault(path)  # What is no vault shall not leave an empty workspace behind.
        actor = actor_at_console(options["email"])
        workspace = self._workspace(options["workspace"], create=options["create"], dry_run=options["dry_run"])
        # `disable=None` shows it on a terminal only.
        with tqdm(total=_count(path), unit=" files", disable=None, leave=False) as bar:
            return import_vault(
                workspace,
                path,
                actor=actor,
                source=options["source"],
                delete_missing=options["delete_missing"],
                dry_run=options["dry_run"],
                on_progress=bar.update,
            )

    def _workspace(self, slug: str, *, create: bool, dry_run: bool) -> Workspace:
        if not create:
            return workspace_at_console(slug)
        if dry_run and not Workspace.objects.filter(slug=slug).exists():
            return Workspace(slug=slug, name=slug)
        return new_workspace_at_console(slug)

    def _tell(self, report: ImportReport, *, dry_run: bool, verbosity: int) -> None:
        for refused in report.refused:
            self.stderr.write(f"refused: {refused.path}: {refused.reason} [{refused.code}]")
        shown = len(report.warnings) if verbosity > 1 else _WARNINGS_SHOWN
        for path, warning in report.warnings[:shown]:
            self.stderr.write(f"warning: {path}: {warning}")
        if (more := len(report.warnings) - shown) > 0:
            self.stderr.write(f"warning: {more} more warnings; --verbosity 2 shows them all.")
        self.stdout.write(
            f"Notes: {report.created} created, {report.changed} changed, {report.unchanged} unchanged, "
            f"{report.deleted} deleted."
        )
        self.stdout.write(
            f"Attachments: {report.attachments_stored} stored, {report.attachments_unchanged} unchanged, "
            f"{report.attachments_deleted} deleted."
        )
        self.stdout.write(f"Files: {len(report.refused)} refused, {report.skipped} skipped as not part of the vault.")
        if dry_run:
            self.stdout.write("This was a dry run: nothing was written.")
        elif report.changes_nothing:
            self.stdout.write("Nothing has changed.")

    def _tell_source(self, report: ImportReport, target: Path | None) -> None:
        by = f", by {report.sign}" if report.sign else ""
        self.stdout.write(f"Taken as {report.source.label}{by}.")
        if report.lost:
            counts = ", ".join(f"{count} {code}" for code, count in report.lost_by_code.items())
            hint = "" if target else " --report FILE.json names each."
            self.stdout.write(f"Worth a look: {counts}.{hint}")
        if target:
            try:
                with whole_file(target) as file:
                    file.write(json.dumps(report.as_json(), ensure_ascii=False, indent=1).encode())
            except OSError as error:
                raise CommandError(f"--report: {target} cannot be written: {error.strerror}.", returncode=1) from error
            self.stdout.write(f"The report is in {target}.")


def _count(path: Path) -> int | None:
    """Files to come, for the progress bar; None where that cannot be told beforehand."""
    if path.is_dir():
        return sum(len(files) for _, _, files in os.walk(path))
    try:
        with zipfile.ZipFile(path) as archive:
            return len(archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return None
