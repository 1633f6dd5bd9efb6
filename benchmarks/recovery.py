"""How long it takes until work goes on after processes were killed or stopped, with the settings as they are.

Django has to be set up when this is imported.
"""

import time
from typing import TYPE_CHECKING

import psutil
from django.conf import settings

from benchmarks.contenders import add_errand
from benchmarks.errands.models import Errand
from benchmarks.figures import Figure, tell
from benchmarks.signs import Signs
from benchmarks.workers import wait_until, workers
from kjxlkj.jobs.services import cancel

if TYPE_CHECKING:
    from kjxlkj.jobs.child import Child

KILLS = 3
MOST_AFTER_STALL_SECONDS = 45
# Of the jobs that are in work when their cluster is stopped.
STOPPED_SECONDS = 2
# Of a job that lasts longer than anything here takes: its number, and how long.
ENDLESS, ENDLESS_SECONDS = 1000, 600


def measure_recovery(heard: Signs) -> None:
    bound = settings.JOB_LEASE_SECONDS + settings.JOB_SWEEP_SECONDS
    with workers() as supervisor:
        kills = [seconds_after_kill(heard) for _ in range(KILLS)]
        remark = f"longest of {', '.join(f'{seconds:.1f}' for seconds in kills)} s"
        tell(Figure("busy worker killed, its job worked at again", max(kills), bound, "s", remark=remark))
        seconds = seconds_after_stall(supervisor)
        tell(Figure("idle cluster stopped, a new job done", seconds, MOST_AFTER_STALL_SECONDS, "s"))
        for number in range(settings.JOB_QUEUES["default"]):
            add_errand(number, seconds=STOPPED_SECONDS)
            heard.begun(number)
        seconds = seconds_after_stall(supervisor)
        tell(Figure("busy cluster stopped, its jobs and a new one done", seconds, MOST_AFTER_STALL_SECONDS, "s"))
    seconds = seconds_after_loss_of_host(heard)
    tell(Figure("host lost, its job worked at on another", seconds, bound, "s"))


def seconds_after_kill(heard: Signs) -> float:
    errand = begin_endless(heard)
    worker_of(errand).kill()
    killed = time.monotonic()
    seconds = heard.begun(ENDLESS) - killed
    end(errand)
    return seconds


def seconds_after_stall(supervisor: "Child") -> float:
    """Every process of the cluster is stopped (SIGSTOP), and a job is enqueued right afterwards."""
    for process in cluster_of(supervisor):
        process.suspend()
    stopped = time.monotonic()
    add_errand()
    wait_until(lambda: not Errand.objects.unfinished().exists(), supervisor)
    return time.monotonic() - stopped


def seconds_after_loss_of_host(heard: Signs) -> float:
    """A supervisor and all below it are killed at once; another, which cannot know of it, is left with their job."""
    with workers() as lost:
        errand = begin_endless(heard)
        with workers():
            for process in [psutil.Process(pid) for pid in lost.process_ids] + cluster_of(lost):
                process.kill()
            killed = time.monotonic()
            seconds = heard.begun(ENDLESS) - killed
            end(errand)
    return seconds


def begin_endless(heard: Signs) -> Errand:
    errand = add_errand(ENDLESS, seconds=ENDLESS_SECONDS)
    heard.begun(ENDLESS)
    return errand


def end(errand: Errand) -> None:
    cancel(errand)
    wait_until(lambda: not Errand.objects.unfinished().exists(), None)


def worker_of(errand: Errand) -> psutil.Process:
    errand.refresh_from_db()
    return psutil.Process(int(errand.lease_owner.rpartition("/")[2]))


def cluster_of(supervisor: "Child") -> list[psutil.Process]:
    """Each process of django-q2's, from the top."""
    found = [
        child
        for pid in supervisor.process_ids
        for child in psutil.Process(pid).children()
        if "kjxlkj.jobs.cluster" in child.cmdline()
    ]
    return [process for main in found for process in (main, *main.children(recursive=True))]
