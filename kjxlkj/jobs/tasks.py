"""Entry points of the queue: ids in, one service call, nothing out."""

from functools import partial
from multiprocessing.synchronize import Event
from uuid import UUID

from django.conf import settings

from kjxlkj.jobs import canaries, recovery, services
from kjxlkj.jobs.patience import patiently
from kjxlkj.jobs.processes import limit_memory

# A connection may have died since the last task, which nobody looked at.
_PATIENCE_SECONDS = 10.0

# Set when this cluster has been told to stop: what its workers were handed before is not begun any more.
stopping: Event | None = None


def execute(label: str, job_id: str) -> None:
    if stopping is not None and stopping.is_set():
        return  # the job stays queued: whoever sweeps next wakes another worker for it
    limit_memory(settings.JOB_MEMORY_MB)
    services.execute(label, UUID(job_id))


def sweep() -> None:
    patiently(recovery.sweep, _PATIENCE_SECONDS)


def answer_canary(cluster: str) -> None:
    patiently(partial(canaries.answer, cluster), _PATIENCE_SECONDS)
