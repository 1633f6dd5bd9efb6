"""What exports offer to rules."""

from automation.actions import Action, Effects
from automation.budgets import LIMITS
from automation.models import Run
from automation.schema import settings_faults
from exports.models import ExportJob
from exports.services import queue_backup, queue_markdown_export
from kjxlkj.jobs.lease import Lease

# What is made is made of all that matches, never of a part of it.
_EVERY_NOTE = 1_000_000_000
_SCHEMA = {"type": "object", "properties": {"limits": LIMITS}, "additionalProperties": False}
_BACKUP_SCHEMA = {
    **_SCHEMA,
    "description": "Attachments are not in it: manage.py backup_sql --to FILE --attachments FOLDER copies them too.",
}


def _order_markdown_export(run: Run, lease: Lease) -> Effects:
    def effects() -> None:
        """In the transaction that ends the run: one job for each run, however often its message is delivered."""
        condition = run.rule_snapshot["condition_json"]
        job = queue_markdown_export(run.workspace, created_by=run.created_by, condition=condition, run=run)
        _tell(run, job, "A Markdown export is ordered.")

    return effects


def _order_backup(run: Run, lease: Lease) -> Effects:
    def effects() -> None:
        _tell(run, queue_backup(created_by=run.created_by, run=run), "A SQL backup is ordered.")

    return effects


def _tell(run: Run, job: ExportJob, outcome: str) -> None:
    run.result_json = {**run.result_json, "export_id": str(job.pk), "outcome": outcome}


EXPORT_MARKDOWN = Action(
    kind="export_markdown",
    label="Make a Markdown archive",
    schema=_SCHEMA,
    faults=settings_faults(_SCHEMA),
    work=_order_markdown_export,
    max_sources=lambda action_json: _EVERY_NOTE,
    reads_sources=False,
)

SQL_BACKUP = Action(
    kind="sql_backup",
    label="Back up the database, without attachments",
    schema=_BACKUP_SCHEMA,
    faults=settings_faults(_BACKUP_SCHEMA),
    work=_order_backup,
    max_sources=lambda action_json: _EVERY_NOTE,
    reads_sources=False,
    superusers_only=True,
)
