"""Wiring of the exports app."""

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    name = "exports"
