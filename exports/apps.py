"""Wiring of the exports app."""

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    name = "exports"

    def ready(self) -> None:
        from automation import actions
        from exports.actions import EXPORT_MARKDOWN, SQL_BACKUP
        from exports.models import ExportJob
        from exports.retention import tidy
        from exports.scratch import drop_leftovers
        from exports.services import announce, leaves_a_backup, work
        from kjxlkj.jobs import registry

        kind = registry.JobKind(model=ExportJob, work=work, announce=announce, acts_outside=leaves_a_backup)
        registry.register(kind)
        # Whoever has upgraded finds time to say that all are to be kept.
        registry.register_chore(registry.hourly(tidy, waits=True))
        registry.register_chore(registry.hourly(drop_leftovers))
        actions.register(EXPORT_MARKDOWN)
        actions.register(SQL_BACKUP)
