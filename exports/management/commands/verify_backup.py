"""See whether a backup comes back."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from exports import backup_file
from exports.models import ExportJob, ExportKind
from exports.verification import Outcome, examine, keep_outcome
from kjxlkj.errors import DomainError, NotFound
from kjxlkj.jobs.models import JobStatus
from kjxlkj.workspaces.console import actor_at_console
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import require_superuser


class Command(BaseCommand):
    help = (
        "Restore a backup into a database of its own, here and now, compare it with what was backed up, and drop it "
        "again. Exit status: 0 all of it came back, 1 it did not, 2 it could not be tried."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("backup", nargs="?", metavar="JOB_ID|FILE", help="A backup that is listed, or a dump.")
        which.add_argument("--latest", action="store_true", help="The newest backup that is listed.")
        parser.add_argument("--manifest", type=Path, metavar="FILE.json", help="If it does not lie beside the dump.")
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="Act as this person, with their rights.")

    def handle(self, *args: Any, backup: str | None, email: str | None, **options: Any) -> None:
        try:
            actor = actor_at_console(email)
            require_superuser(actor)
            outcome = _examine(backup, options["manifest"], actor)
        except DomainError as error:
            raise CommandError(f"{error.message} [{error.code}]", returncode=2) from error
        if not outcome["ok"]:
            raise CommandError(f"{outcome['message']} [{outcome['code']}]", returncode=1)
        attachments = outcome["attachments"]["checked"]
        self.stdout.write(
            f"It comes back: {outcome['rows']} rows of {outcome['tables']} tables are as they were backed up, and "
            f"the storage has the content of its {attachments} attachments."
        )


def _examine(named: str | None, manifest: Path | None, actor: User) -> Outcome:
    job = listed(named)
    if job is None:
        return examine(backup_file.read(Path(str(named)), manifest))
    with backup_file.of_job(job) as file:
        outcome = examine(file)
    with transaction.atomic():
        keep_outcome(job, outcome, actor=actor, via="command")
    return outcome


def listed(named: str | None) -> ExportJob | None:
    """The job of that id, the newest good one if nothing is named; None where it is a file's name."""
    backups = ExportJob.objects.filter(kind=ExportKind.SQL)
    if named is None:
        job = backups.filter(status=JobStatus.SUCCEEDED, deleted_at=None).first()
        fault = "There is no backup yet. Take one: manage.py backup_sql."
    else:
        try:
            key = UUID(named)
        except ValueError:
            return None
        job = backups.filter(pk=key).first()
        fault = f"There is no backup {key}. Look for its id under Exports, or name its file."
    if job is None:
        raise NotFound("EXPORT_NOT_FOUND", fault)
    return job
