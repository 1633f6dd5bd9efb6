"""Who is measured beside whom: our workers, django-q2's stock queue, procrastinate. All on the one database.

Django has to be set up when this is imported.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from django.db import connection, transaction
from psycopg.conninfo import make_conninfo

from benchmarks.errands.models import Errand
from benchmarks.installation import CONNINFO
from benchmarks.stock_settings import STOCK_QUEUE
from benchmarks.workers import running, wait_until, workers
from kjxlkj.jobs.services import enqueue, enqueue_many

if TYPE_CHECKING:
    from procrastinate import App

# Returns when the job of that number has been committed.
Enqueue = Callable[[int], object]


# --- Ours -------------------------------------------------------------------------------------------


@contextmanager
def ours() -> Iterator[Enqueue]:
    with workers():
        yield add_errand


def add_errand(number: int | None = None, seconds: float = 0) -> Errand:
    with transaction.atomic():
        errand = Errand.objects.create(sign=number, seconds=seconds)
        enqueue(errand)
    return errand


def add_errands(count: int, seconds: float = 0) -> None:
    with transaction.atomic():
        enqueue_many(Errand.objects.bulk_create([Errand(seconds=seconds) for _ in range(count)]))


# --- django-q2 as it comes --------------------------------------------------------------------------


@contextmanager
def stock() -> Iterator[Enqueue]:
    from django_q.brokers.orm import ORM
    from django_q.tasks import async_task

    command = [sys.executable, "-m", "django", "qcluster"]
    environment = {"DJANGO_SETTINGS_MODULE": "benchmarks.stock_settings", "Q_CLUSTER_NAME": STOCK_QUEUE}
    with running("stock cluster", command, **environment):
        yield lambda number: async_task("benchmarks.signs.tell_begun", number, broker=ORM(STOCK_QUEUE))


# --- procrastinate ----------------------------------------------------------------------------------


@contextmanager
def peer() -> Iterator["App"]:
    """Its schema in our database, and a connection to enqueue by."""
    connection.ensure_connection()
    driver = connection.connection
    # Only here and in what we start: the embedded server has no address that one could know beforehand.
    os.environ[CONNINFO] = make_conninfo(driver.info.dsn, password=driver.info.password or None)
    from benchmarks.peer import app

    with app.open():
        app.schema_manager.apply_schema()
        yield app


@contextmanager
def peer_workers(queue: str, *, processes: int = 1, concurrency: int = 1) -> Iterator[Enqueue]:
    """To be entered within `peer()`."""
    from benchmarks.peer import errand

    command = [sys.executable, "-m", "procrastinate", "--app", "benchmarks.peer.app", "--log-level", "warning"]
    command += ["worker", "--queues", queue, "--concurrency", str(concurrency)]
    before = registered()
    with ExitStack() as stack:
        started = [stack.enter_context(running("procrastinate worker", command)) for _ in range(processes)]
        wait_until(lambda: registered() == before + processes, started[0])
        yield lambda number: errand.configure(queue=queue).defer(number=number)


def registered() -> int:
    """Workers of procrastinate that have come up."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM procrastinate_workers")
        return int(cursor.fetchone()[0])
