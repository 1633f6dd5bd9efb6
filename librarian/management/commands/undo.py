"""Take back what was decided, from the console."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from automation.models import Run
from kjxlkj.errors import DomainError, NotFound
from kjxlkj.workspaces.console import actor_at_console
from kjxlkj.workspaces.models import User
from librarian.batches import undo_batch
from librarian.console import tell
from librarian.models import Batch, Operation
from librarian.services import Outcome
from librarian.undoing import undo, undo_run


class Command(BaseCommand):
    help = (
        "Undo accepted proposals, and have rejected ones wait again: those that are named, all of a bulk decision, or "
        "what was accepted of a run. Notes that were changed since are left alone. Exit status 1 if any was; each "
        "says why."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--operation", nargs="+", type=UUID, default=[], metavar="ID")
        what.add_argument("--batch", type=UUID, metavar="ID", help="A bulk decision, as its page and the API name it.")
        what.add_argument("--run", type=UUID, metavar="ID")
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="Undo as this person, with their rights.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcomes = _undone(options, actor_at_console(options["email"]))
        except DomainError as error:
            raise CommandError(f"{error.message} [{error.code}]", returncode=2) from error
        tell(self, outcomes, "Some were not undone.")


def _undone(options: dict[str, Any], actor: User) -> list[Outcome]:
    if options["batch"]:
        return undo_batch(_found(Batch, [options["batch"]])[0], actor=actor)
    if options["run"]:
        return undo_run(_found(Run, [options["run"]])[0], actor=actor)
    return undo(_found(Operation, options["operation"]), actor=actor)


def _found(model: type[Model], ids: list[UUID]) -> list[Any]:
    """In the order of `ids`, each once; who may undo them is for the services to say."""
    found = model._default_manager.in_bulk(ids)
    missing = [str(row_id) for row_id in ids if row_id not in found]
    if missing:
        noun = model._meta.verbose_name
        raise NotFound(f"{str(noun).upper()}_NOT_FOUND", f"There is no {noun} {', '.join(missing)}.")
    return [found[row_id] for row_id in dict.fromkeys(ids)]
