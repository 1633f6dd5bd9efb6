"""Wiring of the librarian app."""

from django.apps import AppConfig


class LibrarianConfig(AppConfig):
    name = "librarian"
