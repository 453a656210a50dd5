"""Statements for the hot path, past SQLAlchemy's work per statement and per row.

Group commit executes the same ten statements thousands of times an hour: building and caching them
as expressions cost more than the database did. Column types still convert the values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Table, insert

Convert = Callable[[Any], Any] | None


def run(connection: Connection, statement: str, *values: Any) -> CursorResult[Any]:
    """Execute a statement with `?` for each of the values."""
    if connection.dialect.name != "sqlite":
        statement = statement.replace("?", "%s")
    return connection.exec_driver_sql(statement, values)


def among(connection: Connection, start: str, column: str, values: Sequence[str]) -> Sequence[Any]:
    """Rows of `start` ("SELECT ... FROM ...") whose `column` is one of `values`."""
    if not values:
        return ()
    given: str | list[str] = list(values)
    where = "= ANY(?)"
    if connection.dialect.name == "sqlite":
        where, given = "IN (SELECT value FROM json_each(?))", json.dumps(given)
    return run(connection, f"{start} WHERE {column} {where}", given).all()


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all hold the same columns of `table`."""
    statement, columns = _compiled(table, connection.dialect, tuple(rows[0]))
    values = [
        [change(row[name]) for row in rows] if change else [row[name] for row in rows]
        for name, change in columns
    ]
    given: Any = list(zip(*values, strict=True))
    if connection.dialect.name != "sqlite":
        names = [name for name, _ in columns]
        given = [dict(zip(names, row, strict=True)) for row in given]
    connection.exec_driver_sql(statement, given)


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
