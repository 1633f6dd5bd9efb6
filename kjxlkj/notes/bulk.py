"""Many rows in one statement, through the connection (and the transaction) that Django holds."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models
from django.db.models import Model
from psycopg import sql
from psycopg.types.json import Jsonb


def copy_rows(model: type[Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """COPY `rows` (one value for each of `columns`) into the model's table."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    json = [isinstance(field, models.JSONField) for field in _fields(model, columns)]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(model._meta.db_table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    # Django wraps what `execute` raises; of `copy` it does not know.
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        copy.write_row(_adapted(first, json))
        for row in rows:
            copy.write_row(_adapted(row, json))


def _fields(model: type[Model], columns: Sequence[str]) -> list[Any]:
    by_column = {field.column: field for field in model._meta.concrete_fields}
    return [by_column[column] for column in columns]


def _adapted(row: Sequence[Any], json: Sequence[bool]) -> list[Any]:
    return [Jsonb(value) if is_json else value for value, is_json in zip(row, json, strict=True)]
