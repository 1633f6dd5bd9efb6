"""No-op jobs that 4 workers end in a second, ours and procrastinate's, and how well 16 workers share out longer ones.

The jobs are there, and idle workers too, when the transaction that holds them all commits. Times are the database's,
from the first start to the last finish as the rows of either tell; ours ends when the last message is acknowledged.

Django has to be set up when this is imported.
"""

from collections.abc import Callable
from datetime import datetime
from statistics import median

from django.db import connection
from django.db.models import Max, Min
from django_q.models import OrmQ

from benchmarks.contenders import add_errands, peer_workers
from benchmarks.errands.models import Errand
from benchmarks.figures import Figure, tell
from benchmarks.workers import wait_until, workers

JOBS = 2000
WORKERS = 4
ROUNDS = 5
LEAST_RATIO = 1.0

LONG_JOBS = 160
LONG_SECONDS = 0.5
LONG_WORKERS = 16
MOST_OF_IDEAL = 1.15


def measure_throughput() -> None:
    """To be called within `contenders.peer()`."""
    contenders: dict[str, Callable[[], float]] = {
        "ours": our_rate,
        f"procrastinate, {WORKERS} processes": lambda: peer_rate("processes"),
        f"procrastinate, one process of {WORKERS}": lambda: peer_rate("one"),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    with (
        workers(f"default:{WORKERS}"),
        peer_workers("processes", processes=WORKERS),
        peer_workers("one", concurrency=WORKERS),
    ):
        for _ in range(ROUNDS):
            for name, rate in contenders.items():
                tidy()
                rates[name].append(rate())
    for name, found in rates.items():
        print(f"  {name:<34}{median(found):>7.0f} jobs/s  ({', '.join(f'{rate:.0f}' for rate in found)})")
    own, *others = (median(found) for found in rates.values())
    remark = f"{own:.0f} jobs/s; procrastinate {max(others):.0f}, the better of its two ways"
    tell(Figure("no-op jobs, to procrastinate's", own / max(others), LEAST_RATIO, "x", at_least=True, remark=remark))


def our_rate() -> float:
    earlier = database_time()
    add_errands(JOBS)
    wait_until(lambda: not Errand.objects.unfinished().exists(), None)
    wait_until(lambda: not OrmQ.objects.filter(key="default").exists(), None, look=0.005)
    acknowledged = database_time()
    began = Errand.objects.filter(created_at__gte=earlier).aggregate(Min("started_at"))["started_at__min"]
    return JOBS / (acknowledged - began).total_seconds()


def peer_rate(queue: str) -> float:
    from benchmarks.peer import errand

    ids = errand.configure(queue=queue).batch_defer(*[{} for _ in range(JOBS)])
    wait_until(lambda: not waiting_at_peer(queue), None)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE type = 'succeeded'), min(at) FILTER (WHERE type = 'started'),"
            " max(at) FILTER (WHERE type = 'succeeded') FROM procrastinate_events WHERE job_id = ANY(%s)",
            [ids],
        )
        done, began, ended = cursor.fetchone()
    if done != JOBS:
        raise RuntimeError(f"procrastinate has ended only {done} of {JOBS} jobs well.")
    return JOBS / (ended - began).total_seconds()


def waiting_at_peer(queue: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND queue_name = %s)",
            [queue],
        )
        return bool(cursor.fetchone()[0])


def measure_sharing() -> None:
    """From before the enqueueing transaction to the last finish, beside what it would take without any cost."""
    ideal = LONG_JOBS / LONG_WORKERS * LONG_SECONDS
    times = []
    with workers(f"default:{LONG_WORKERS}"):
        for _ in range(ROUNDS):
            began = database_time()
            add_errands(LONG_JOBS, LONG_SECONDS)
            wait_until(lambda: not Errand.objects.unfinished().exists(), None)
            ended = Errand.objects.aggregate(Max("finished_at"))["finished_at__max"]
            times.append((ended - began).total_seconds())
    name = f"{LONG_JOBS} jobs of {LONG_SECONDS} s on {LONG_WORKERS} workers, to ideal"
    remark = f"{median(times):.2f} s; ideal {ideal:.0f} s"
    tell(Figure(name, median(times) / ideal, MOST_OF_IDEAL, "x", remark=remark))


def tidy() -> None:
    """Nobody's round pays for what the one before it left."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def database_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
        return found
