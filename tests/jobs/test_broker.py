import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from kjxlkj.jobs import messages
from kjxlkj.jobs.broker import NotifyingBroker
from tests.jobs.conftest import add_errand, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(monkeypatch: Any) -> Iterator[NotifyingBroker]:
    monkeypatch.setenv("KJXLKJ_CLUSTER", "host:default")
    broker = NotifyingBroker("default")
    yield broker
    broker._disconnect()


def listeners() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in cursor.fetchall()]


def test_the_queue_is_read_through_this_broker(settings: Any) -> None:
    assert f"{NotifyingBroker.__module__}.{NotifyingBroker.__qualname__}" == Conf.BROKER_CLASS


def test_a_message_is_taken_once_and_is_gone_when_acknowledged(broker: NotifyingBroker) -> None:
    errand = add_errand()
    ((number, payload),) = broker.dequeue() or []
    assert SignedPackage.loads(payload)["args"] == ("testapp.errand", str(errand.pk))
    assert broker.queue_size() == 0
    assert broker.lock_size() == 1
    broker.acknowledge(number)
    assert not OrmQ.objects.exists()


def test_what_async_task_enqueues_is_delivered_too(broker: NotifyingBroker) -> None:
    number = broker.enqueue("signed")
    assert broker.dequeue() == [(number, "signed")]


def test_an_enqueue_is_rolled_back_with_its_transaction(broker: NotifyingBroker) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        broker.enqueue("signed")
        raise ZeroDivisionError
    assert not OrmQ.objects.exists()


def test_four_clusters_take_each_message_once() -> None:
    for number in range(200):
        messages.post_to("default", "kjxlkj.jobs.tasks.answer_canary", str(number))
    wanted = set(OrmQ.objects.values_list("pk", flat=True))

    def take_all() -> list[int]:
        own, taken = NotifyingBroker("default"), []
        own._connection = own._listen()
        while batch := own._take():
            taken += [number for number, _ in batch]
        own._disconnect()
        return taken

    with ThreadPoolExecutor(4) as pool:
        results = [future.result() for future in [pool.submit(take_all) for _ in range(4)]]
    taken = [number for result in results for number in result]
    assert len(taken) == 200
    assert set(taken) == wanted


def test_messages_are_taken_in_the_order_in_which_they_became_due(broker: NotifyingBroker) -> None:
    numbers = [broker.enqueue(str(number)) for number in range(5)]
    taken: list[int] = []
    while batch := broker.dequeue():
        taken += [number for number, _ in batch]
    assert taken == numbers


def test_messages_that_are_gone_at_once_come_in_larger_helpings_and_others_one_by_one(
    broker: NotifyingBroker, monkeypatch: Any
) -> None:
    for number in range(40):
        broker.enqueue(str(number))
    sizes = [len(broker.dequeue() or []) for _ in range(5)]
    assert sizes == [1, 2, 4, 8, 8]
    broker._served_at -= 1.0  # as if eight messages had taken a second
    assert [len(broker.dequeue() or []) for _ in range(2)] == [1, 2]


def test_a_message_that_is_not_due_is_left(broker: NotifyingBroker, monkeypatch: Any) -> None:
    monkeypatch.setattr(Conf, "POLL", 0.05)
    broker.enqueue("later")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_q_ormq SET lock = clock_timestamp() + interval '0.4 seconds'")
    assert broker.dequeue() is None
    assert wait_for(broker.dequeue)[0][1] == "later"


def test_the_canarys_queue_does_not_wait_behind_a_backlog(broker: NotifyingBroker, monkeypatch: Any) -> None:
    for _ in range(20):
        broker.enqueue("work")
    number = messages.post_to("host:default", "kjxlkj.jobs.tasks.answer_canary", "host:default")
    assert next(taken for taken, _ in broker.dequeue() or []) == number


def waiting(broker: NotifyingBroker) -> tuple[threading.Event, threading.Thread]:
    """Look into the empty queue and wait; the event tells that the wait is over."""
    woken = threading.Event()

    def wait() -> None:
        broker.dequeue()
        woken.set()
        broker._disconnect()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    wait_for(lambda: broker._connection is not None)
    return woken, thread


def test_a_waiting_broker_is_woken_by_the_commit_of_an_enqueue(broker: NotifyingBroker, monkeypatch: Any) -> None:
    monkeypatch.setattr(Conf, "POLL", 60.0)
    woken, thread = waiting(broker)
    assert not woken.wait(0.3)
    add_errand()
    assert woken.wait(10), "the poll would have ended after a minute only"
    thread.join()


def test_a_cluster_on_a_host_with_a_long_name_is_told_of_its_canary(broker: NotifyingBroker, monkeypatch: Any) -> None:
    name = f"{'notes-and-more-' * 3}host:4242:abcdef:default"
    monkeypatch.setenv("KJXLKJ_CLUSTER", name)
    monkeypatch.setattr(Conf, "POLL", 60.0)
    woken, thread = waiting(broker)
    messages.post_to(name, "kjxlkj.jobs.tasks.answer_canary", name)
    assert woken.wait(10), "the poll would have ended after a minute only"
    thread.join()


def test_a_message_committed_between_look_and_wait_is_not_slept_over(broker: NotifyingBroker, monkeypatch: Any) -> None:
    monkeypatch.setattr(Conf, "POLL", 30.0)
    take = broker._take

    def take_then_enqueue() -> list[tuple[int, str]]:
        found = take()
        monkeypatch.setattr(broker, "_take", take)
        add_errand()
        return found

    monkeypatch.setattr(broker, "_take", take_then_enqueue)
    before = time.monotonic()
    assert broker.dequeue() is None
    assert time.monotonic() - before < 15
    assert broker.dequeue()


def test_a_dropped_connection_is_opened_again(broker: NotifyingBroker, monkeypatch: Any) -> None:
    monkeypatch.setattr(Conf, "POLL", 0.05)
    broker.dequeue()
    before = listeners()
    assert before
    with connection.cursor() as cursor:
        for pid in before:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    number = broker.enqueue("signed")
    assert wait_for(broker.dequeue) == [(number, "signed")]


def test_an_acknowledgement_that_is_cut_off_is_made_again(broker: NotifyingBroker) -> None:
    number = broker.enqueue("signed")
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("SELECT id FROM django_q_ormq WHERE id = %s FOR UPDATE", [number])
        acknowledgement = pool.submit(acknowledge_and_close, broker, number)
        # It waits for our lock: in the middle of its statement, where no health check helps.
        wait_for(lambda: _terminate_the_waiting(cursor))
        other.rollback()
        acknowledgement.result(20)
    other.close()
    assert not OrmQ.objects.exists()


def acknowledge_and_close(broker: NotifyingBroker, number: int) -> None:
    try:
        broker.acknowledge(number)
    finally:
        connection.close()


def _terminate_the_waiting(cursor: Any) -> list[Any]:
    cursor.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE NOT granted AND datname = current_database()"
    )
    terminated: list[Any] = cursor.fetchall()
    return terminated


def test_the_first_due_message_is_found_by_the_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'kjxlkj_ormq_key_lock'")
        assert "(key, lock)" in cursor.fetchone()[0]
