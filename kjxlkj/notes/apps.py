"""Wiring of the notes app."""

from django.apps import AppConfig


class NotesConfig(AppConfig):
    name = "kjxlkj.notes"
    label = "notes"
