"""Make a superuser from a script: the first one owns what was there before."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kjxlkj.errors import DomainError
from kjxlkj.workspaces.services import create_owner


class Command(BaseCommand):
    help = "Make a superuser; the first one takes over the workspaces made before. The password comes by stdin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", default="")
        # No --password: the arguments of a process are everybody's to read.
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            required=True,
            help="Read the password from the first line of stdin.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise CommandError("password: stdin was empty. Pipe the password in, as one line.")
        try:
            user = create_owner(email=options["email"], password=password, name=options["name"])
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{user.email} is an owner now.")
