"""Entry points of the queue: ids in, one service call, nothing out."""

from uuid import UUID

from kjxlkj.jobs import recovery, services


def execute(label: str, job_id: str) -> None:
    services.execute(label, UUID(job_id))


def answer_canary(cluster: str) -> None:
    recovery.answer_canary(cluster)
