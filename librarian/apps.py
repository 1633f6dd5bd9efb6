"""Wiring of the librarian app."""

from django.apps import AppConfig


class LibrarianConfig(AppConfig):
    name = "librarian"

    def ready(self) -> None:
        from automation.actions import register
        from librarian.actions import LIBRARIAN_STRUCTURE

        register(LIBRARIAN_STRUCTURE)
