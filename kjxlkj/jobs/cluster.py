"""`python -m kjxlkj.jobs.cluster`: a django-q2 cluster whose processes never outlive one another.

As `manage.py qcluster`, which also works, but without orphans when a part of it is killed, and quicker to start.
"""

import multiprocessing
import os
import signal
import sys
from types import FrameType

import django
from django.utils import translation

from kjxlkj.jobs.processes import (
    die_with_parent,
    forks_die_with_us,
    keep_what_is_loaded,
    work_in_the_background,
)


def main() -> int:
    supervisor = os.environ.get("KJXLKJ_SUPERVISOR")
    if supervisor:
        die_with_parent(int(supervisor), signal.SIGKILL)
    forks_die_with_us()
    work_in_the_background()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kjxlkj.settings")
    django.setup()
    # django-q2 translates each line of its log, written or not: a third of the time of its monitor.
    translation.deactivate_all()
    # Reads the settings on import.
    from django_q.cluster import Cluster

    from kjxlkj.jobs import tasks

    tasks.stopping = stopping = multiprocessing.Event()
    keep_what_is_loaded()
    cluster = Cluster()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()
        cluster.sig_handler(number, frame)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    cluster.start()
    cluster.sentinel.join()
    return 0 if cluster.has_stopped else 1


if __name__ == "__main__":
    sys.exit(main())
