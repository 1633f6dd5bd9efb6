"""django-q2's ORM broker, made quick and patient: it is told of new messages, and outlives its database."""

import logging
import os
import time
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections
from django_q.brokers.orm import ORM
from django_q.conf import Conf

from kjxlkj.jobs import canaries
from kjxlkj.jobs.messages import channel, put
from kjxlkj.jobs.patience import patiently
from kjxlkj.jobs.transitions import cluster_name

logger = logging.getLogger(__name__)

# The first due message of each queue. One statement, and whoever holds a row is passed by: however many clusters
# there are, each message goes to one of them. The lock is how long django-q2 keeps it from the others.
_TAKE = """
    WITH unhurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), due AS MATERIALIZED (
        SELECT message.id, message.lock
        FROM unnest(%s::text[]) AS queue,
             LATERAL (SELECT id, lock FROM django_q_ormq WHERE key = queue AND lock <= clock_timestamp()
                      ORDER BY lock LIMIT %s FOR UPDATE SKIP LOCKED) AS message
    )
    UPDATE django_q_ormq AS message SET lock = clock_timestamp() + make_interval(secs => %s)
    FROM due WHERE message.id = due.id AND EXISTS (SELECT FROM unhurried)
    RETURNING message.id, message.payload, message.key, due.lock"""

_LARGEST_HELPING = 8
_AT_ONCE_SECONDS = 0.03

# Nothing waits for it to reach the disk: a message that comes back is delivered again, and the claim refuses it.
_ACKNOWLEDGE = """
    WITH unhurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    DELETE FROM django_q_ormq WHERE id = %s AND EXISTS (SELECT FROM unhurried)"""

# A database that restarts is back after a second or a few; an acknowledgement that is lost costs a second delivery.
_ACKNOWLEDGE_SECONDS = 30.0


class NotifyingBroker(ORM):  # type: ignore[misc]  # shipped without types
    """Claims with SKIP LOCKED in database time, and waits on LISTEN for at most `poll` seconds.

    Where notifications do not come through (a pooler in transaction mode), that is plain polling.
    """

    # Of the one process that takes messages: opened there, after the fork. Apart from Django's own, which
    # LISTEN would keep busy.
    _connection: Any = None
    # How many messages were asked for the last time, and when they were handed on.
    _helping = 1
    _served_at = 0.0
    # When the canary is to be asked next: a `monotonic()`.
    _ask_at = 0.0

    def enqueue(self, task: str) -> int:
        key = self.list_key or Conf.CLUSTER_NAME
        self.get_connection()  # closes a connection that has gone stale
        return put(key, task)

    def dequeue(self) -> list[tuple[int, str]] | None:
        try:
            self._ask_canary()
            if self._connection is None:
                self._connection = self._listen()
            messages = self._take()
            if not messages:
                self._wait()
        except (OperationalError, InterfaceError) as error:
            logger.warning("The queue cannot be read, trying again: %s", error)
            self._disconnect()
            time.sleep(Conf.POLL)
            return None
        return messages or None

    def delete(self, task_id: int) -> None:
        def acknowledge() -> None:
            with connections[Conf.ORM].cursor() as cursor:
                cursor.execute(_ACKNOWLEDGE, [task_id])

        patiently(acknowledge, _ACKNOWLEDGE_SECONDS, using=Conf.ORM)

    def info(self) -> str:
        return f"PostgreSQL {Conf.ORM} with LISTEN"

    @property
    def _queues(self) -> list[str]:
        """The queue of this cluster's own is for its canary, which must not wait behind a backlog."""
        return [cluster_name(), self.list_key]

    def _ask_canary(self) -> None:
        """Where somebody else supervises (`manage.py qcluster`), nobody but we would ask, and nobody could tell."""
        if "KJXLKJ_CLUSTER" in os.environ or time.monotonic() < self._ask_at:
            return
        self._ask_at = time.monotonic() + settings.JOB_CANARY_SECONDS
        self.get_connection()
        canaries.ask(cluster_name(), self.list_key, Conf.WORKERS)

    def _listen(self) -> Any:
        wrapper = connections[Conf.ORM].copy()
        wrapper.connect()
        with wrapper.cursor() as cursor:
            for queue in self._queues:
                cursor.execute(f"LISTEN {wrapper.ops.quote_name(channel(queue))}")
        return wrapper

    def _take(self) -> list[tuple[int, str]]:
        self._helping = self._next_helping()
        with self._connection.cursor() as cursor:
            cursor.execute(_TAKE, [self._queues, self._helping, Conf.RETRY])
            rows = cursor.fetchall()
        self._served_at = time.monotonic()
        # They were updated in any order: first comes the canary, then what was due first.
        rows.sort(key=lambda row: (row[2] == self.list_key, row[3], row[0]))
        return [(number, payload) for number, payload, *_ in rows]

    def _next_helping(self) -> int:
        """Twice as many messages as the last time if those were gone at once, else one: what is taken here and waits
        for a worker might have one elsewhere."""
        seconds_each = (time.monotonic() - self._served_at) / self._helping
        return min(2 * self._helping, _LARGEST_HELPING) if seconds_each < _AT_ONCE_SECONDS else Conf.BULK

    def _wait(self) -> None:
        # Whatever came while we looked is kept by psycopg and ends the wait at once.
        with self._connection.wrap_database_errors:
            for _ in self._connection.connection.notifies(timeout=Conf.POLL, stop_after=1):
                pass

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
