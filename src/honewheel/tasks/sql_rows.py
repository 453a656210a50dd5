"""Rows for a schema: invented, the same every time, and such that wrong queries show.

Keys are unique, references hit existing rows unevenly (some parents have many children, some
none), values repeat, nullable columns hold some NULLs, and what a query compares with (`wanted`)
occurs beside near misses. Types are SQLite's affinities; constraints are respected, except that
CHECKs are not looked at beyond the values they mention and that required references in a circle
of several tables dangle.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from honewheel.records import digest
from honewheel.tasks.sql_run import Sandbox

ROWS = 24  # of a table that refers to none; each level of reference below has more
MOST_ROWS = 60
NULL_SHARE = 0.12
_WORDS = (
    "amber birch cedar delta ember fjord grove haven".split()  # letters differ from the first on
)
_DAYS = [f"2024-{month:02}-{day:02}" for month in range(1, 13, 2) for day in (3, 15, 28)]

if TYPE_CHECKING:
    from sqlglot import exp

Wanted = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type: str
    required: bool
    key: bool


def fill(database: Sandbox, schema: str, wanted: Wanted) -> None:
    """Insert rows into every table of `database`, seeded by the hash of `schema`.

    `wanted` maps a column's name (lower case) to values that should occur in it.
    """
    names = [
        name
        for (name,) in database.ask(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    ]
    rng = random.Random(digest(schema))
    references = {name: _references(database, name) for name in names}
    database.ask("PRAGMA ignore_check_constraints = ON")
    for depth, name in _parents_first(references):
        _fill_table(
            database, name, references[name], min(MOST_ROWS, ROWS * (1 + depth)), rng, wanted
        )


def mentioned(trees: Iterable[exp.Expression]) -> dict[str, list[Any]]:
    """Column name (lower case) -> values it is compared with, and neighbours of numbers."""
    from sqlglot import exp

    found: dict[str, list[Any]] = {}
    for tree in trees:
        for test in tree.find_all(exp.Predicate):
            names = [column.name.lower() for column in test.find_all(exp.Column)]
            for literal in test.find_all(exp.Literal):
                for name in names:
                    found.setdefault(name, []).extend(_around(literal))
    return {name: list(dict.fromkeys(values)) for name, values in found.items()}


def _around(literal: exp.Literal) -> list[Any]:
    if literal.is_string:
        core = literal.name.replace("%", "")
        return [core] if core == literal.name else [core, f"{core}s", f"a{core}"]
    value = float(literal.name)
    if value.is_integer() and abs(value) < 1e9:
        return [int(value), int(value) - 1, int(value) + 1]
    return [value, value - 0.5, value + 0.5]


def _references(database: Sandbox, table: str) -> dict[str, tuple[str, str | None]]:
    """Column -> (table, column) it refers to; None stands for that table's primary key."""
    rows = database.ask("SELECT * FROM pragma_foreign_key_list(?)", table)
    return {row[3]: (row[2], row[4]) for row in rows}


def _parents_first(
    references: Mapping[str, Mapping[str, tuple[str, str | None]]],
) -> Iterable[tuple[int, str]]:
    """(levels of reference above it, table), parents before children where there is no circle."""
    depths: dict[str, int] = {}
    left = sorted(references)
    while left:
        ready = [
            name
            for name in left
            if all(parent == name or parent not in left for parent, _ in references[name].values())
        ]
        for name in ready or left[:1]:
            parents = [
                depths[parent] for parent, _ in references[name].values() if parent in depths
            ]
            depths[name] = max(parents, default=-1) + 1
            left.remove(name)
            yield depths[name], name


def _fill_table(
    database: Sandbox,
    table: str,
    references: Mapping[str, tuple[str, str | None]],
    count: int,
    rng: random.Random,
    wanted: Wanted,
) -> None:
    columns = [
        _Column(name, declared.upper(), bool(required), bool(key))
        for name, declared, required, key in database.ask(
            'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?) WHERE hidden = 0', table
        )
    ]
    if not columns:
        return
    unique = _unique_columns(database, table) | _single_key(columns)
    pools = {
        column.name: _pool(database, column, references.get(column.name), rng, wanted)
        for column in columns
    }
    for column, (parent, target) in references.items():
        key = target or _primary_key(database, table)
        if parent.lower() == table.lower() and key in pools:
            pools[column] = [_distinct(pools[key], number) for number in range(count // 3)]
    marks = ", ".join("?" * len(columns))
    listed = ", ".join(_quoted(column.name) for column in columns)
    insert = f"INSERT OR IGNORE INTO {_quoted(table)} ({listed}) VALUES ({marks})"
    for name in unique & references.keys():
        count = min(count, len(pools[name]))
    for number in range(count):
        row = [
            _value(column, pools[column.name], number, column.name in unique, rng)
            for column in columns
        ]
        database.ask(insert, *row)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _single_key(columns: Sequence[_Column]) -> set[str]:
    keys = [column.name for column in columns if column.key]
    return set(keys) if len(keys) == 1 else set()


def _unique_columns(database: Sandbox, table: str) -> set[str]:
    found = set()
    for (index,) in database.ask('SELECT name FROM pragma_index_list(?) WHERE "unique"', table):
        columns = database.ask("SELECT name FROM pragma_index_info(?)", index)
        if len(columns) == 1:
            found.add(columns[0][0])
    return found


def _pool(
    database: Sandbox,
    column: _Column,
    reference: tuple[str, str | None] | None,
    rng: random.Random,
    wanted: Wanted,
) -> list[Any]:
    """Values the column draws from, the first ones more often."""
    if reference is not None:
        parent, target = reference
        target = target or _primary_key(database, parent)
        if target is not None:
            question = f"SELECT {_quoted(target)} FROM {_quoted(parent)} ORDER BY 1"
            values = [value for (value,) in database.ask(question) if value is not None]
            if values:
                rng.shuffle(values)
                return values[: max(1, len(values) * 3 // 4)]  # the others have no children
        if not column.required:  # tables that refer to each other in a circle
            return [None]
    typical = _typical(column, rng)
    kind = type(typical[0])
    fitting = [
        kind(value)
        for value in wanted.get(column.name.lower(), ())
        if isinstance(value, kind) or (kind is float and isinstance(value, int))
    ]
    return list(dict.fromkeys([*fitting, *typical]))


def _primary_key(database: Sandbox, table: str) -> str | None:
    rows = database.ask("SELECT name FROM pragma_table_info(?) WHERE pk = 1", table)
    return rows[0][0] if rows else None


def _typical(column: _Column, rng: random.Random) -> list[Any]:
    declared = column.type
    if "DATE" in declared or "TIME" in declared:
        clock = " 08:30:00" if "TIME" in declared else ""
        return [day + clock for day in rng.sample(_DAYS, 7)]
    if "INT" in declared or "BOOL" in declared:
        return [0, 1] if "BOOL" in declared else rng.sample(range(1, 31), 8)
    if any(word in declared for word in ("REAL", "FLOA", "DOUB", "DEC", "NUM", "MONEY")):
        return [value / 4 for value in rng.sample(range(8, 800), 8)]
    return rng.sample(_WORDS, 6)


def _value(
    column: _Column, pool: Sequence[Any], number: int, unique: bool, rng: random.Random
) -> Any:
    if unique:
        return _distinct(pool, number)
    if not column.required and not column.key and rng.random() < NULL_SHARE:
        return None
    return pool[int(len(pool) * rng.random() ** 1.6)]


def _distinct(pool: Sequence[Any], number: int) -> Any:
    """The pool's values first, then new ones of the same kind."""
    if number < len(pool):
        return pool[number]
    if isinstance(pool[0], str):
        return f"{pool[number % len(pool)]} {number}"
    return 1_000 + number
