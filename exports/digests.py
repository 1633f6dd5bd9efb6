"""What a database holds, in figures that say whether another holds the same: of whatever version its server is.

For a snapshot: one transaction, REPEATABLE READ, which `pin` begins. Everything here works on psycopg's own
connections, so that it can be done beside whatever else a thread is at, and in databases that are not Django's.
"""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any

from psycopg import Connection, Error, sql

Figures = dict[str, Any]
"""Of a table: `{"rows", "digest"}`."""

# What shapes a value as text, and what would end or change a long transaction.
_PINNED = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    # Names are written in full where they are not PostgreSQL's own.
    "search_path": "pg_catalog",
    # Rows that would be hidden are an error.
    "row_security": "off",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "transaction_timeout": "0",
}
_PIN = "SELECT set_config(name, %s::jsonb ->> name, true) FROM pg_settings WHERE name = ANY(%s)"

# Those that a dump has: not what an extension brings along.
_RELATIONS = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = ANY(%s) AND NOT c.relispartition AND c.relpersistence <> 't'
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
    AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY n.nspname, c.relname"""
# What is generated is made anew where it is restored, and by another version of PostgreSQL maybe otherwise.
_COLUMNS = """
    SELECT attname, atttypid = ANY('{text,varchar,json,jsonb}'::regtype[]) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY attname"""

Name = tuple[str, str]


def pin(session: Connection[Any]) -> None:
    """Have values written in one way only for the rest of the transaction, and no time limit."""
    session.execute(_PIN, [json.dumps(_PINNED), list(_PINNED)])


def tables(session: Connection[Any]) -> list[Name]:
    """Schema and name of each."""
    return session.execute(_RELATIONS, [["r", "p"]]).fetchall()


def sequences(session: Connection[Any]) -> list[Name]:
    return session.execute(_RELATIONS, [["S"]]).fetchall()


def measure(session: Connection[Any], which: list[Name]) -> dict[str, Figures]:
    """The figures of tables, one statement each."""
    return {".".join(name): _measured(session, sql.Identifier(*name)) for name in which}


@contextmanager
def measuring(session: Connection[Any], which: list[Name]) -> Iterator[Future[dict[str, Figures]]]:
    """The same on a thread of its own, which is ended with the block. Nobody else may use the session meanwhile."""
    left = list(which)

    def measure_each() -> dict[str, Figures]:
        figures: dict[str, Figures] = {}
        while left:
            figures |= measure(session, [left.pop(0)])
        return figures

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(measure_each)
        try:
            yield future
        finally:
            left.clear()
            while not future.done():
                # It may be between two statements just now.
                with suppress(Error):
                    session.cancel_safe(timeout=5)
                wait([future], 0.1)


def _measured(session: Connection[Any], table: sql.Identifier) -> Figures:
    """Each row as text is hashed to 64 bits, and these are added up: in whatever order the rows lie."""
    columns = session.execute(_COLUMNS, [table.as_string(session)]).fetchall()
    # Of a table without columns, rows are all that there is.
    row = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(_value(*column) for column in columns))
    statement = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended({}, 0)), 0)::text FROM {}").format(row, table)
    rows, digest = session.execute(statement).fetchone() or (0, "0")
    return {"rows": rows, "digest": digest}


def _value(column: str, is_long: bool) -> sql.Composed:
    """What is long by itself is hashed by itself: to quote it as a part of a row takes as long as all the rest."""
    value = 'hashtextextended({}::text COLLATE "C", 0)' if is_long else "{}"
    return sql.SQL(value).format(sql.Identifier(column))


def positions(session: Connection[Any], which: list[Name]) -> dict[str, int]:
    """The number that each sequence gives next. They heed no snapshot: it is the present one."""
    found = {}
    for schema, name in which:
        statement = sql.SQL(
            "SELECT last_value + CASE WHEN is_called THEN"
            " (SELECT seqincrement FROM pg_sequence WHERE seqrelid = {}::regclass) ELSE 0 END FROM {}"
        ).format(sql.Literal(sql.Identifier(schema, name).as_string(session)), sql.Identifier(schema, name))
        found[f"{schema}.{name}"] = (session.execute(statement).fetchone() or (0,))[0]
    return found
