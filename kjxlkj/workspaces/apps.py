"""Wiring of the workspaces app."""

from django.apps import AppConfig


class WorkspacesConfig(AppConfig):
    name = "kjxlkj.workspaces"
    label = "workspaces"
