"""Wiring of the jobs app."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "kjxlkj.jobs"
    label = "jobs"
