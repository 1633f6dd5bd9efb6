"""Entry points of the queue: ids in, one service call, nothing out."""

from uuid import UUID

from django.conf import settings

from kjxlkj.jobs import canaries, recovery, services
from kjxlkj.jobs.processes import limit_memory


def execute(label: str, job_id: str) -> None:
    limit_memory(settings.JOB_MEMORY_MB)
    services.execute(label, UUID(job_id))


def sweep() -> None:
    recovery.sweep()


def answer_canary(cluster: str) -> None:
    canaries.answer(cluster)
