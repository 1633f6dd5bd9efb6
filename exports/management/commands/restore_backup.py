"""Put a backup in the place of the database."""

from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from exports import backup_file, restoring
from exports.backup_file import Backup
from exports.management.commands.verify_backup import listed
from exports.mending import Mended, mender
from exports.models import ExportJob
from exports.servers import address
from kjxlkj.errors import Conflict, DomainError
from kjxlkj.workspaces.console import actor_at_console
from kjxlkj.workspaces.roles import require_superuser

_SHOWN = 10


class Command(BaseCommand):
    help = (
        "Restore a SQL backup beside the database, compare it, bring it to the present schema, and put it in the "
        "database's place. Until that last moment everybody works on; what fails leaves everything as it was. "
        "Exit status: 0 it is restored, 2 nothing was changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("backup", nargs="?", metavar="JOB_ID|FILE", help="A backup that is listed, or a dump.")
        which.add_argument("--go-back", metavar="DATABASE", help="Put a database back that a restore has replaced.")
        parser.add_argument("--manifest", type=Path, metavar="FILE.json", help="If it does not lie beside the dump.")
        parser.add_argument("--replace", action="store_true", help="Replace a database that is not empty.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument(
            "--attachments", type=Path, metavar="DIR", help="Take from here what the storage lacks (see backup_sql)."
        )
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="Act as this person, with their rights.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["email"]:
                require_superuser(actor_at_console(options["email"]))
            if options["go_back"]:
                self._go_back(options["go_back"], options)
            else:
                self._restore(options)
        except DomainError as error:
            raise CommandError(f"{error.message} [{error.code}]", returncode=2) from error

    def _restore(self, options: dict[str, Any]) -> None:
        with ExitStack() as stack:
            job, backup = _found(options["backup"], options["manifest"], stack)
            self.stdout.write("Looking it over …")
            program = restoring.require_restorable(backup)
            replaces = _is_used()
            if replaces:
                if not options["replace"]:
                    restoring.require_empty()
                self._confirm(f"The backup of {backup.manifest['taken_at']}", options)
            mend = mender(
                email=options["email"],
                listed=job,
                attachments=options["attachments"],
                filename=backup.path.name,
                sha256=backup.manifest["sha256"],
                taken_at=backup.manifest["taken_at"],
            )
            restored = restoring.restore(backup, program, mend, self.stdout.write)
        self.stdout.write(f"The backup of {backup.manifest['taken_at']} is in place.")
        self._tell(restored.mended)
        if replaces:
            self._tell_of_the_former(restored.before)
        else:
            restoring.drop(restored.before)

    def _go_back(self, name: str, options: dict[str, Any]) -> None:
        restoring.require_rights()
        self._confirm(f"The database “{name}”", options)
        mend = mender(email=options["email"], listed=None, attachments=options["attachments"], database=name)
        former = restoring.go_back(name, mend)
        self.stdout.write(f"{name} is in place again.")
        self._tell(former.mended)
        self._tell_of_the_former(former.before)

    def _confirm(self, what: str, options: dict[str, Any]) -> None:
        if options["yes"]:
            return
        name = address()["dbname"]
        try:
            answer = input(f"{what} takes the place of “{name}”. To go on, type the name of that database: ")
        except EOFError:
            answer = ""
        if answer.strip() != name:
            raise Conflict("NOT_CONFIRMED", f"That was not “{name}”, so nothing was changed. --yes does not ask.")

    def _tell(self, mended: Mended) -> None:
        self.stdout.write(f"Jobs that were not finished: {mended.jobs.queued} queued, {mended.jobs.failed} failed.")
        if mended.brought_back:
            self.stdout.write(f"Attachments put back into the storage: {mended.brought_back}.")
        if missing := mended.missing:
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            self.stderr.write(
                f"Attachments whose content is missing: {len(missing)}: {', '.join(missing[:_SHOWN])}{more}. Copy the "
                "files folder back, or import them again."
            )

    def _tell_of_the_former(self, before: str) -> None:
        self.stdout.write(
            f"The former database is kept as {before}.\n"
            f"To go back to it: manage.py restore_backup --go-back {before}\n"
            f"To be rid of it:  manage.py dbshell -- -c 'DROP DATABASE \"{before}\"'"
        )


def _found(named: str, manifest: Path | None, stack: ExitStack) -> tuple[ExportJob | None, Backup]:
    try:
        job = listed(named)
    except Error as error:
        raise CommandError(
            f"The list of backups cannot be read ({error}). Name the backup's file: it lies in the storage, as "
            f"exports/{named}/….dump.",
            returncode=2,
        ) from error
    if job is None:
        return None, backup_file.read(Path(named), manifest)
    return job, stack.enter_context(backup_file.of_job(job))


def _is_used() -> bool:
    try:
        restoring.require_empty()
    except Conflict:
        return True
    return False
