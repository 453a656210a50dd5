"""Statements for the hot path, past SQLAlchemy's work per statement and per row.

Group commit executes the same ten statements thousands of times an hour: building and caching them
as expressions, and wrapping what they find, cost more than the database did. They go to the driver
on the transaction's own connection. Column types still convert the values, and errors are those
that SQLAlchemy makes of the driver's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Table, exc, insert
from sqlalchemy.engine.interfaces import DBAPICursor

Convert = Callable[[Any], Any] | None


def run(connection: Connection, statement: str, *values: Any) -> int:
    """Execute a statement with `?` for each of the values; how many rows it changed."""
    with _cursor(connection, statement) as cursor:
        cursor.execute(_marked(connection, statement), values)
        return cursor.rowcount


def rows(connection: Connection, statement: str, *values: Any) -> Sequence[tuple[Any, ...]]:
    """What a SELECT finds, `?` standing for each of the values."""
    with _cursor(connection, statement) as cursor:
        cursor.execute(_marked(connection, statement), values)
        return cast("list[tuple[Any, ...]]", cursor.fetchall())


def among(
    connection: Connection, start: str, column: str, values: Sequence[str]
) -> Sequence[tuple[Any, ...]]:
    """Rows of `start` ("SELECT ... FROM ...") whose `column` is one of `values`."""
    if not values:
        return ()
    given: str | list[str] = list(values)
    where = "= ANY(?)"
    if connection.dialect.name == "sqlite":
        where, given = "IN (SELECT value FROM json_each(?))", json.dumps(given)
    return rows(connection, f"{start} WHERE {column} {where}", given)


def insert_rows(connection: Connection, table: Table, new: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all hold the same columns of `table`."""
    statement, columns = _compiled(table, connection.dialect, tuple(new[0]))
    values = [
        [change(row[name]) for row in new] if change else [row[name] for row in new]
        for name, change in columns
    ]
    given: Any = list(zip(*values, strict=True))
    if connection.dialect.name != "sqlite":
        names = [name for name, _ in columns]
        given = [dict(zip(names, row, strict=True)) for row in given]
    with _cursor(connection, statement) as cursor:
        cursor.executemany(statement, given)


@contextmanager
def _cursor(connection: Connection, statement: str) -> Iterator[DBAPICursor]:
    """The driver's cursor; its errors become those of SQLAlchemy, which `Database` explains."""
    cursor = connection.connection.cursor()
    driver = connection.dialect.loaded_dbapi.Error
    try:
        yield cursor
    except driver as error:
        found = exc.DBAPIError.instance(
            statement, None, error, driver, hide_parameters=True, dialect=connection.dialect
        )
        raise cast(exc.DBAPIError, found) from error
    finally:
        cursor.close()


def _marked(connection: Connection, statement: str) -> str:
    return statement if connection.dialect.name == "sqlite" else statement.replace("?", "%s")


@cache
def _compiled(
    table: Table, dialect: Dialect, names: tuple[str, ...]
) -> tuple[str, list[tuple[str, Convert]]]:
    """The INSERT of these columns, in its order, with what converts each value."""
    compiled = insert(table).inline().compile(dialect=dialect, column_keys=list(names))
    order = getattr(compiled, "positiontup", None) or names
    return str(compiled), [(name, _conversion(table, dialect, name)) for name in order]


def _conversion(table: Table, dialect: Dialect, name: str) -> Convert:
    kind: Any = table.c[name].type.dialect_impl(dialect)
    found: Convert = kind.bind_processor(dialect)
    return found
