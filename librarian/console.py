"""What became of decisions, as the console tells it."""

from collections.abc import Sequence

from django.core.management.base import BaseCommand, CommandError

from librarian.services import Outcome


def tell(command: BaseCommand, outcomes: Sequence[Outcome], failure: str) -> None:
    """A line for each. Raises `CommandError` with `failure` and status 1 if any was not carried out."""
    for outcome in outcomes:
        why = f": {outcome.message} [{outcome.code}]" if outcome.code else ""
        command.stdout.write(f"{outcome.operation.id} {outcome.status}{why}")
    if any(outcome.code for outcome in outcomes):
        raise CommandError(failure, returncode=1)
