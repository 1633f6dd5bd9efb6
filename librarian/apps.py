"""Wiring of the librarian app."""

from django.apps import AppConfig
from django.core import checks


class LibrarianConfig(AppConfig):
    name = "librarian"

    def ready(self) -> None:
        from automation.actions import register
        from kjxlkj.health import EXAMINATIONS
        from kjxlkj.jobs.registry import register_chore
        from librarian.actions import LIBRARIAN_STRUCTURE
        from librarian.auto_apply import apply_waiting
        from librarian.prompt_pack import check_prompts
        from librarian.providers.checks import check_providers
        from librarian.providers.doctor import PROVIDERS

        register(LIBRARIAN_STRUCTURE)
        register_chore(apply_waiting)
        checks.register(check_providers)
        checks.register(check_prompts)
        EXAMINATIONS.append(PROVIDERS)
