"""Rewritings of SQL schemas, made on sqlglot's tokens so that the rest stays as it was written.

A query (a context with a `schema`) is handed on to `variations_query`. Comments between columns
may end up in the wrong place or break a statement; the task then refuses the rewriting.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from honewheel.tasks import variations_query
from honewheel.tasks.sql_edits import Edit, edited, lowered, on_one_line, reordered, tokenized
from honewheel.tasks.variations import Variation

SCHEMA = "schema"  # as in `sql`: the context's key that makes the task a query
_CONSTRAINTS = {"PRIMARY KEY", "FOREIGN KEY", "UNIQUE", "CHECK", "CONSTRAINT"}
_BESIDE = {"NOT", "NULL", "UNIQUE", "DEFAULT", "CHECK", "PRIMARY KEY", "COLLATE", "REFERENCES"}
_TYPES = ("TEXT", "INTEGER", "NUMERIC", "DATE", "REAL")


class Item(NamedTuple):
    """One comma-separated part of a CREATE TABLE: a column or a constraint."""

    tokens: tuple[Any, ...]

    @property
    def start(self) -> int:
        return int(self.tokens[0].start)

    @property
    def end(self) -> int:
        return int(self.tokens[-1].end) + 1

    @property
    def is_column(self) -> bool:
        return self.tokens[0].text.upper() not in _CONSTRAINTS

    def at(self, *words: str) -> int | None:
        """Place of the first token that is one of `words`, behind the name."""
        places = (n for n, token in enumerate(self.tokens) if n and token.text.upper() in words)
        return next(places, None)


class Table(NamedTuple):
    name: Any  # its token
    items: tuple[Item, ...]
    start: int  # of the statement, its semicolon included
    end: int


def equivalents(output: str, context: Mapping[str, str], rng: random.Random) -> Iterator[Variation]:
    """Another order of tables and columns, keys declared below, another layout or quoting."""
    if SCHEMA in context:
        yield from variations_query.equivalents(output, rng)
        return
    tokens = tokenized(output)
    tables = _tables(tokens)
    spans = [(table.start, table.end) for table in tables]
    yield Variation(name="tables-reordered", output=reordered(output, [spans], rng))
    if all(token.text.upper() != "INSERT" for token in tokens):  # its values have their order
        columns = [[(i.start, i.end) for i in table.items if i.is_column] for table in tables]
        yield Variation(name="columns-reordered", output=reordered(output, columns, rng))
    yield Variation(name="references-below", output=edited(output, _below(output, tables)))
    names = [token for table in tables for token in _named(table)]
    quotes = [(one.start, one.end + 1, f'"{one.text}"') for one in names]
    yield Variation(name="names-quoted", output=edited(output, quotes))
    yield Variation(name="keywords-lower", output=lowered(output, tokens))
    yield Variation(name="one-line", output=on_one_line(output, tokens))


def mutations(output: str, context: Mapping[str, str], rng: random.Random) -> Iterator[Variation]:
    """One fault each: a table, a column, a type, a reference, a key or a constraint."""
    if SCHEMA in context:
        yield from variations_query.mutations(output, rng)
        return
    tables = _tables(tokenized(output))
    for table in tables:
        yield Variation(
            name="table-dropped", output=edited(output, [(table.start, table.end, "")]).strip()
        )
        for place, item in enumerate(table.items):
            faults = _column_faults if item.is_column else _constraint_faults
            for name, edit in faults(output, item, tables, rng):
                yield Variation(name=name, output=edited(output, [edit]))
            if len(table.items) > 1:
                name = "column-dropped" if item.is_column else "constraint-dropped"
                yield Variation(name=name, output=edited(output, [_cut(table.items, place)]))
        others = [item for other in tables if other is not table for item in other.items]
        own = {item.tokens[0].text.lower() for item in table.items}
        plain = [
            item
            for item in others
            if item.is_column
            and item.at(*_BESIDE) is None
            and item.tokens[0].text.lower() not in own
        ]
        if plain and table.items:
            item, last = rng.choice(plain), max(_columns(table), key=lambda item: item.end)
            column = f",\n  {output[item.start : item.end]}"
            added = edited(output, [(last.end, last.end, column)])
            yield Variation(name="column-invented", output=added)


# --- schemas ------------------------------------------------------------------------------------


def _tables(tokens: Sequence[Any]) -> list[Table]:
    """Every CREATE TABLE whose columns stand in brackets."""
    found = []
    for statement in _statements(tokens):
        words = [token.text.upper() for token in statement]
        opening = words.index("(") if "(" in words else 0
        if words[0] == "CREATE" and "TABLE" in words[:opening]:
            start, end = statement[0].start, statement[-1].end + 1
            items = tuple(Item(tuple(part)) for part in _parts(statement[opening + 1 :]))
            found.append(Table(statement[opening - 1], items, start, end))
    return found


def _statements(tokens: Sequence[Any]) -> Iterator[list[Any]]:
    statement: list[Any] = []
    for token in tokens:
        statement.append(token)
        if token.text == ";":
            yield statement
            statement = []
    if statement:
        yield statement


def _parts(tokens: Sequence[Any]) -> Iterator[list[Any]]:
    """What commas separate, up to the bracket that closes."""
    part: list[Any] = []
    depth = 0
    for token in tokens:
        kind = token.token_type.name
        depth += (kind == "L_PAREN") - (kind == "R_PAREN")
        if depth < 0 or (depth == 0 and kind == "COMMA"):
            if part:
                yield part
            part = []
            if depth < 0:
                return
        else:
            part.append(token)


def _columns(table: Table) -> list[Item]:
    return [item for item in table.items if item.is_column] or [table.items[0]]


def _named(table: Table) -> list[Any]:
    """The tokens of the table's own name and those of its columns, where not quoted yet."""
    found = [table.name, *(item.tokens[0] for item in table.items if item.is_column)]
    return [token for token in found if token.token_type.name != "IDENTIFIER"]


def _below(text: str, tables: Sequence[Table]) -> Iterator[Edit]:
    """Each REFERENCES beside a column as a FOREIGN KEY behind the last column."""
    for table in tables:
        below = []
        for item in table.items:
            at = item.at("REFERENCES") if item.is_column else None
            if at is None or any(t.text.upper() in _BESIDE for t in item.tokens[at + 1 :]):
                continue
            start = item.tokens[at].start
            name = text[item.tokens[0].start : item.tokens[0].end + 1]
            below.append(f",\n  FOREIGN KEY ({name}) {text[start : item.end]}")
            yield item.tokens[at - 1].end + 1, item.end, ""
        if below:
            end = table.items[-1].end
            yield end, end, "".join(below)


def _cut(items: Sequence[Item], place: int) -> Edit:
    """The edit that takes an item out, with one comma."""
    if place:
        return items[place - 1].end, items[place].end, ""
    return items[0].start, items[1].start, ""


def _column_faults(
    text: str, item: Item, tables: Sequence[Table], rng: random.Random
) -> Iterator[tuple[str, Edit]]:
    constraint = item.at(*_BESIDE)
    declared = item.tokens[1:constraint]
    if declared:
        start, end = declared[0].start, declared[-1].end + 1
        others = [name for name in _TYPES if name != text[start:end].upper()]
        yield "column-retyped", (start, end, rng.choice(others))
    if constraint is None:
        yield "required-added", (item.end, item.end, " NOT NULL")
    if (at := item.at("REFERENCES")) is not None:
        yield "reference-dropped", (item.tokens[at - 1].end + 1, item.end, "")
        yield from _redirected(text, item.tokens[at + 1], tables, rng)
    for words, name in (
        (("PRIMARY KEY", "AUTOINCREMENT"), "key-dropped"),
        (("NOT", "NULL"), "required-dropped"),
        (("UNIQUE",), "unique-dropped"),
    ):
        if (at := item.at(words[0])) is not None:
            last = at
            while last + 1 < len(item.tokens) and item.tokens[last + 1].text.upper() in words[1:]:
                last += 1
            yield name, (item.tokens[at - 1].end + 1, item.tokens[last].end + 1, "")


def _constraint_faults(
    text: str, item: Item, tables: Sequence[Table], rng: random.Random
) -> Iterator[tuple[str, Edit]]:
    if (at := item.at("REFERENCES")) is not None:
        yield from _redirected(text, item.tokens[at + 1], tables, rng)


def _redirected(
    text: str, target: Any, tables: Sequence[Table], rng: random.Random
) -> Iterator[tuple[str, Edit]]:
    others = [t.name for t in tables if t.name.text.lower() != target.text.lower()]
    if others:
        other = rng.choice(others)
        name = text[other.start : other.end + 1]
        yield "reference-redirected", (target.start, target.end + 1, name)
