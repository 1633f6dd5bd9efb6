"""Wiring of the automation app."""

from django.apps import AppConfig


class AutomationConfig(AppConfig):
    name = "automation"

    def ready(self) -> None:
        from automation import actions
        from automation.execution import acts_outside, announce, work
        from automation.matching import on_events
        from automation.models import Run
        from automation.retention import forget
        from automation.ticks import tick
        from automation.webhooks.action import WEBHOOK
        from kjxlkj.jobs.registry import JobKind, hourly, register, register_chore
        from kjxlkj.workspaces.events import listen

        register(JobKind(model=Run, work=work, announce=announce, acts_outside=acts_outside))
        listen(on_events)
        register_chore(tick)
        register_chore(hourly(forget))
        actions.register(WEBHOOK)
