"""Whatever is killed: jobs resume by themselves, and their effects are there once each."""

import os
import signal
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psutil
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_q.models import Schedule

from kjxlkj.errors import Conflict
from kjxlkj.jobs import health
from kjxlkj.jobs.supervisor import Supervisor
from tests.faults.running import Running, is_alive
from tests.jobs.conftest import add_errand, history, wait_for
from tests.jobs.testapp.models import Errand

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    # One after another: each has half a dozen processes, and waits for what takes them seconds.
    pytest.mark.xdist_group("faults"),
]

Supervise = Callable[..., Running]


def all_finished() -> bool:
    return not Errand.objects.unfinished().exists()


def assert_each_done_once(errands: list[Errand]) -> None:
    wait_for(all_finished, 40)
    for errand in errands:
        errand.refresh_from_db()
        assert (errand.status, errand.error_code, errand.effects.count()) == ("succeeded", "", 1), history(errand)


def test_idle_workers_are_killed(supervise: Supervise) -> None:
    """One of them holds the lock of the queue while it waits: nothing would ever be read again."""
    running = supervise()
    for worker in running.parts("worker"):
        worker.kill()
    assert_each_done_once([add_errand() for _ in range(4)])


def test_a_cluster_that_hangs_with_all_its_processes_alive(supervise: Supervise) -> None:
    running = supervise()
    hung = [running.part("main"), *running.part("main").children(recursive=True)]
    for process in hung:
        process.suspend()
    assert_each_done_once([add_errand() for _ in range(3)])
    assert not any(is_alive(process) for process in hung)


def test_a_busy_cluster_that_hangs_with_all_its_processes_alive(supervise: Supervise) -> None:
    """Its leases live on for a while, and are no sign of life."""
    running = supervise()
    errands = [add_errand("last", 0.5) for _ in range(4)]
    wait_for(lambda: Errand.objects.filter(status="running").count() == 2)
    hung = [running.part("main"), *running.part("main").children(recursive=True)]
    for process in hung:
        process.suspend()
    assert_each_done_once(errands)
    assert not any(is_alive(process) for process in hung)


def test_a_supervisor_that_was_suspended_takes_nobody_for_stalled(supervise: Supervise) -> None:
    """As when a machine was asleep, or its database did not answer for long."""
    running = supervise()
    main, supervisor = running.part("main"), psutil.Process(running.process.pid)
    supervisor.suspend()
    wait_for(lambda: health.clusters()[0].silent_for > 4.5)
    supervisor.resume()
    wait_for(lambda: health.clusters()[0].silent_for < 2)
    assert_each_done_once([add_errand("last", 0.1)])
    assert running.part("main") == main


def test_readiness_tells_of_a_cluster_that_hangs(supervise: Supervise, settings: Any, client: Client) -> None:
    settings.JOB_STALL_SECONDS = 3.0
    running = supervise()
    assert client.get("/api/readyz").status_code == 200
    # The supervisor as well, or there would be nothing left to tell.
    for process in [psutil.Process(running.process.pid), *running.processes()]:
        process.suspend()
    answer = wait_for(lambda: (answer := client.get("/api/readyz")).status_code == 503 and answer, 5)
    assert answer.json()["message"].startswith("Not ready: workers.")


def test_a_busy_worker_is_killed(supervise: Supervise) -> None:
    supervise()
    errand = add_errand("last", 1)
    others = [add_errand("last", 0.1) for _ in range(4)]
    wait_for(lambda: Errand.objects.get(pk=errand.pk).status == "running")
    owner = Errand.objects.get(pk=errand.pk).lease_owner
    psutil.Process(int(owner.rpartition("/")[2])).kill()
    assert_each_done_once([errand, *others])
    assert errand.attempts == 2
    assert "running>queued" in history(errand)


def test_all_connections_are_cut(supervise: Supervise) -> None:
    supervise()
    errands = [add_errand("last", 0.3, max_attempts=10) for _ in range(8)]
    for _ in range(3):
        wait_for(lambda: Errand.objects.filter(status="running").exists() or all_finished())
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    Errand.objects.filter(not_before__isnull=False).update(not_before=None)
    assert_each_done_once(errands)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_orderly_stop_lets_short_jobs_end_and_leaves_nothing(
    supervise: Supervise, free_port: int, number: signal.Signals
) -> None:
    running = supervise(f"127.0.0.1:{free_port}")
    errand = add_errand("last", 0.7)
    wait_for(lambda: Errand.objects.get(pk=errand.pk).status == "running")
    assert running.processes()
    running.signal(number)
    assert running.process.wait(20) == 0
    assert running.left_behind() == []
    assert_each_done_once([errand])


def test_a_stop_begins_nothing_that_was_handed_out_before(supervise: Supervise) -> None:
    running = supervise()
    errands = [add_errand("last", 1.5) for _ in range(10)]
    wait_for(lambda: Errand.objects.filter(status="running").count() == 2)
    running.processes()
    running.signal(signal.SIGTERM)
    assert running.process.wait(20) == 0
    ended = Errand.objects.filter(status="succeeded", attempts=1)
    untouched = Errand.objects.filter(status="queued", started_at=None)
    assert (ended.count(), untouched.count()) == (2, len(errands) - 2)


def test_a_long_job_goes_back_to_the_queue_after_the_grace_period(supervise: Supervise) -> None:
    running = supervise()
    errand = add_errand("last", 600)
    wait_for(lambda: Errand.objects.get(pk=errand.pk).status == "running")
    running.processes()
    running.signal(signal.SIGTERM)
    assert running.process.wait(20) == 0
    assert running.left_behind() == []
    errand.refresh_from_db()
    assert (errand.status, errand.attempts, errand.lease_owner) == ("queued", 0, "")


def test_a_second_signal_does_not_wait_for_the_grace_period(supervise: Supervise) -> None:
    running = supervise()
    errand = add_errand("last", 600)
    wait_for(lambda: Errand.objects.get(pk=errand.pk).status == "running")
    running.processes()
    cluster = running.part("main")
    running.signal(signal.SIGINT)
    wait_for(lambda: len(running.processes()) < 6 or not running.part("sentinel").children())
    running.signal(signal.SIGINT)
    assert running.process.wait(20) == 0
    assert not cluster.is_running()
    assert running.left_behind() == []
    errand.refresh_from_db()
    assert (errand.status, errand.attempts) == ("queued", 0)


def test_nothing_survives_a_supervisor_that_is_killed(supervise: Supervise, free_port: int) -> None:
    running = supervise(f"127.0.0.1:{free_port}")
    running.processes()
    running.signal(signal.SIGKILL)
    wait_for(lambda: running.left_behind() == [])


def test_a_plain_qcluster_works_is_known_to_be_well_and_sweeps_for_itself(qcluster: Callable[[], Running]) -> None:
    call_command("migrate", "jobs", "0003", verbosity=0)
    call_command("migrate", "jobs", verbosity=0)
    running = qcluster()
    assert health.snapshot()["ready"]
    assert_each_done_once([add_errand("last", 0.1) for _ in range(4)])
    Schedule.objects.update(next_run=timezone.now() - timedelta(hours=1))
    # Nothing wakes it; django-q2 looks at its schedules each half a minute.
    assert_each_done_once([Errand.objects.create(script="last", argument="0.1")])
    running.processes()
    running.signal(signal.SIGTERM)
    assert running.process.wait(20) == 0
    assert running.left_behind() == []


def test_an_address_that_is_taken_is_refused_before_anything_starts(free_port: int) -> None:
    before = psutil.Process().children()
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        with pytest.raises(Conflict, match="choose another port"):
            Supervisor(bind=f"127.0.0.1:{free_port}", queues={"default": 1}).run()
    assert psutil.Process().children() == before


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux has it alone")
def test_workers_let_pages_go_first(supervise: Supervise) -> None:
    running = supervise()
    assert {os.sched_getscheduler(worker.pid) for worker in running.parts("worker")} == {os.SCHED_BATCH}
