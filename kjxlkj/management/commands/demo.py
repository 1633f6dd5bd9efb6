"""A first workspace: a vault, rules to try, and a review queue to begin with."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.text import slugify

import kjxlkj.demo
from automation.models import Rule
from automation.services import create_rule, launch_rule
from kjxlkj.errors import DomainError
from kjxlkj.notes.models import Note
from kjxlkj.notes.vault import read_vault
from kjxlkj.workspaces.console import actor_at_console, new_workspace_at_console
from kjxlkj.workspaces.models import User, Workspace

VAULT = Path(kjxlkj.demo.__file__).parent / "vault"

_OFFLINE_LIBRARIAN = {"kind": "librarian_structure", "provider": {"provider_kind": "offline"}}
TIDY = {"name": "Tidy the vault", "trigger": "manual", "action_json": _OFFLINE_LIBRARIAN}
RULES: list[dict[str, Any]] = [
    {
        "name": "File the inbox",
        "trigger": "note.changed",
        "condition_json": {"folder": "inbox"},
        "action_json": _OFFLINE_LIBRARIAN,
    },
    {"name": "Markdown archive", "trigger": "manual", "action_json": {"kind": "export_markdown"}},
]


class Command(BaseCommand):
    help = "Load the demo vault, or yours, add example rules and launch the librarian. Later calls do nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--vault", type=Path, help="A folder or zip of Markdown instead of the demo.")
        parser.add_argument("--workspace", metavar="SLUG", help="Default: demo, or the name of the vault.")

    def handle(self, *args: Any, vault: Path | None, workspace: str | None, **options: Any) -> None:
        slug = workspace or (slugify(vault.resolve().stem)[:64] or "vault" if vault else "demo")
        if Rule.objects.filter(workspace__slug=slug).exists():
            # Importing it again would undo what people accepted since.
            self.stdout.write(f"Workspace {slug} is there already; import_notes brings in what has changed.")
            return
        try:
            read_vault(vault or VAULT)  # What is no vault shall not leave an empty workspace behind.
        except DomainError as error:
            raise CommandError(error.message, returncode=2) from error
        place = new_workspace_at_console(slug, vault.resolve().stem if vault else "Demo")
        try:
            call_command("import_notes", vault or VAULT, workspace=slug, stdout=self.stdout, stderr=self.stderr)
        except CommandError as error:
            if error.returncode != 1:
                raise
            self.stderr.write(str(error))
        _add_rules(place, actor_at_console(None))


@transaction.atomic
def _add_rules(workspace: Workspace, actor: User) -> None:
    """All of it or nothing: the rules say that the workspace is complete."""
    for values in RULES:
        create_rule(workspace, actor=actor, **values)
    tidy = create_rule(workspace, actor=actor, **TIDY)
    if Note.objects.live().filter(workspace=workspace).exists():
        launch_rule(tidy, actor=actor)
