"""A transaction that leaves no trace, because PostgreSQL refuses every write in it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled


class TooSlow(Exception):
    """A query took longer than it may."""


@contextmanager
def read_only(seconds: float) -> Iterator[None]:
    """Whatever runs in here can read alone, each query for at most `seconds`, and is rolled back.

    Within another transaction it is a savepoint: it cannot be left but by rolling back to it, which gives the right
    to write, and the former timeout, back to the transaction around. Raises `TooSlow`.
    """
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                # PostgreSQL lets nothing within turn it off again.
                cursor.execute(f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {round(seconds * 1000)}")
            yield
            transaction.set_rollback(True)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlow from error
        raise
