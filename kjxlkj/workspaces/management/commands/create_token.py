"""A token for scripts."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from knox.models import AuthToken

from kjxlkj.workspaces.models import User


class Command(BaseCommand):
    help = "Print a new API token of a person, and nothing else. It is kept as a hash only: this is the one time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].strip().lower()
        user = User.objects.filter(email=email, is_active=True).first()
        if user is None:
            raise CommandError(f"email: there is no active account {email}. Make one in the admin, or by create_owner.")
        _, token = AuthToken.objects.create(user)
        self.stdout.write(token)
