"""What exports offer to rules."""

from collections.abc import Mapping
from typing import Any

from automation.actions import Action, Effects
from automation.models import Run
from exports.services import queue_markdown_export
from kjxlkj.errors import Fault
from kjxlkj.jobs.lease import Lease

# An archive is of all that matches, never of a part of it.
_EVERY_NOTE = 1_000_000_000


def _faults(action_json: Mapping[str, Any]) -> list[Fault]:
    return [
        Fault(f"action_json.{name}", "unknown. This action has no settings.") for name in action_json if name != "kind"
    ]


def _work(run: Run, lease: Lease) -> Effects:
    def effects() -> None:
        """In the transaction that ends the run: one job for each run, however often its message is delivered."""
        job = queue_markdown_export(
            run.workspace,
            created_by=run.created_by,
            condition=run.rule_snapshot["condition_json"],
            run=run,
        )
        run.result_json = {**run.result_json, "export_id": str(job.pk)}

    return effects


EXPORT_MARKDOWN = Action(
    kind="export_markdown",
    label="Make a Markdown archive",
    faults=_faults,
    work=_work,
    max_sources=lambda action_json: _EVERY_NOTE,
)
