"""Back the database up."""

import hashlib
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from exports.attachment_folder import copy_out
from exports.audit import record_file
from exports.models import ExportKind
from exports.services import request_backup
from exports.sql_backup import write_backup
from kjxlkj.errors import DomainError
from kjxlkj.jobs.outcomes import Retry
from kjxlkj.storing import whole_file
from kjxlkj.workspaces.console import actor_at_console
from kjxlkj.workspaces.models import User
from kjxlkj.workspaces.roles import require_superuser


class Command(BaseCommand):
    help = (
        "Order a SQL backup of the database, which a worker makes; or make one into a file, here and now. "
        "Attachments are files and not in it: --attachments copies them beside it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--to", type=Path, metavar="FILE", help="Make it here; its manifest comes beside it, as FILE.json."
        )
        parser.add_argument(
            "--attachments",
            type=Path,
            metavar="DIR",
            help="Copy their contents here, by sha256: what is there already stays. One folder serves all backups.",
        )
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="Act as this person, with their rights.")

    def handle(self, *args: Any, to: Path | None, attachments: Path | None, email: str | None, **options: Any) -> None:
        if attachments and to is None:
            raise CommandError("--attachments: name the backup's file too, by --to.", returncode=2)
        try:
            actor = actor_at_console(email)
            said = _order(actor) if to is None else _write(to, actor)
        except DomainError as error:
            raise CommandError(f"{error.message} [{error.code}]", returncode=2) from error
        except Retry as error:
            raise CommandError(f"{error.detail} [{error.code}]", returncode=2) from error
        except OSError as error:
            raise CommandError(f"--to: {to} cannot be written: {error.strerror}.") from error
        self.stdout.write(said)
        if attachments:
            self._copy(attachments)

    def _copy(self, folder: Path) -> None:
        try:
            copied, missing = copy_out(folder)
        except OSError as error:
            raise CommandError(f"--attachments: {folder} cannot be written: {error.strerror}.", returncode=2) from error
        self.stdout.write(f"Attachments copied: {copied}.")
        if missing:
            raise CommandError(
                f"The storage lacks the content of {len(missing)} attachments: {', '.join(missing[:10])}. "
                "Import them again, or delete them.",
                returncode=1,
            )


def _order(actor: User) -> str:
    return str(request_backup(actor=actor).pk)


def _write(target: Path, actor: User) -> str:
    require_superuser(actor)
    _require_no_folder(target)
    beside = target.with_name(f"{target.name}.json")
    _require_no_folder(beside)
    with whole_file(target) as file:
        manifest = write_backup(file)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # it reads, as they do
        size = file.tell()
    # Only of a dump that is there.
    with whole_file(beside) as file:
        told = {"sha256": digest, "size": size, **manifest}
        file.write(json.dumps(told, indent=2, ensure_ascii=False).encode())
    record_file(ExportKind.SQL, target, actor=actor)
    rows = sum(figures["rows"] for figures in manifest["tables"].values())
    return f"{rows} rows of {len(manifest['tables'])} tables are in {target} ({size:,} bytes, sha256 {digest})."


def _require_no_folder(path: Path) -> None:
    """Before the dump, which may take hours."""
    if path.is_dir():
        raise CommandError(f"--to: {path} is a folder. Name a file that is not there yet or may be replaced.")
