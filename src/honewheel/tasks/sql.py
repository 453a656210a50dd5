"""SQL: a schema (DDL) or, when the context holds a `schema`, one SELECT against it.

Valid DDL runs in SQLite, is read by sqlglot, makes at least one table, refers only to existing
columns that are a key, and does nothing but define and insert. A valid query is one SELECT that
runs against the schema. A Markdown fence is an error. Whatever runs, runs in `sql_run`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from honewheel.errors import ParseError
from honewheel.records import Check, Fact, Finding
from honewheel.tasks import facts as shared
from honewheel.tasks.facts import judged, parse_error, unreadable
from honewheel.tasks.sql_facts import Script, definition_facts, query_facts, read, tables
from honewheel.tasks.sql_rows import fill, mentioned
from honewheel.tasks.sql_run import Failed, Sandbox, sandbox, statements
from honewheel.tasks.sql_shape import definition_key, query_key

if TYPE_CHECKING:
    from sqlglot import exp

MAX_CHARS = 20_000
MAX_DEPTH = 40  # nested brackets; SQLite gives up at about 100, sqlglot slows down before
SCHEMA = "schema"  # the context's key that makes the task a query


class Sql:
    kind = "sql"
    version = "sql/1"

    def check(self, output: str, context: Mapping[str, str]) -> Check:
        """Runs the output in memory; errors say what SQLite or sqlglot refused, and where."""
        if finding := _unfit(output):
            return judged([finding])
        found = _query_findings(output, context[SCHEMA]) if SCHEMA in context else _ddl(output)
        return judged([*found])

    def facts(self, output: str, context: Mapping[str, str]) -> frozenset[Fact]:
        """See `sql_facts`. Needs no execution, so a schema with a missing table has facts too."""
        script = _script(output)
        try:
            if SCHEMA in context:
                return frozenset(query_facts(_single_query(script)))
            return frozenset(definition_facts(script))
        except RecursionError as error:
            raise ParseError("expressions are nested too deeply") from error

    def equivalence_key(self, output: str, context: Mapping[str, str]) -> str:
        """See `sql_shape`: exact about what it equates for queries, colour refinement for DDL."""
        script = _script(output)
        try:
            if SCHEMA in context:
                return query_key(_single_query(script), _columns(context[SCHEMA]))
            return definition_key(script)
        except RecursionError as error:
            raise ParseError("expressions are nested too deeply") from error

    def compare(
        self, output: str, reference: str, context: Mapping[str, str]
    ) -> Mapping[str, float]:
        """`honewheel.tasks.facts.compare`; for queries also `answer`.

        `answer` is 1.0 when both give the same rows on invented data (see `sql_rows`): as a
        multiset, or in the same order where the reference has an ORDER BY. Column names do not
        count, floats are compared to nine digits.
        """
        found = shared.compare(self, output, reference, context)
        if SCHEMA in context:
            asked = found["valid"] == 1.0
            found["answer"] = _same_answer(output, reference, context[SCHEMA]) if asked else 0.0
        return found


# --- checks -------------------------------------------------------------------------------------


def _unfit(output: str) -> Finding | None:
    if finding := unreadable(output, MAX_CHARS):
        return finding
    if "\0" in output:
        return Finding(code="not-sql", message="holds a NUL character")
    deepest = _depth(output) if output.count("(") > MAX_DEPTH else 0
    if deepest > MAX_DEPTH:
        message = f"brackets are nested {deepest} deep; at most {MAX_DEPTH} are read"
        return Finding(code="too-deep", message=message)
    return None


def _depth(output: str) -> int:
    depth = deepest = 0
    for char in output:
        depth += (char == "(") - (char == ")")
        deepest = max(deepest, depth)
    return deepest


def _ddl(output: str) -> Iterator[Finding]:
    from sqlglot import exp

    pieces = statements(output)
    if not pieces:
        yield Finding(code="no-statement", message="there is no statement")
        return
    with sandbox() as database:
        for line, piece in pieces:
            try:
                database.define(piece)
            except Failed as failed:
                yield Finding(code=failed.code, message=failed.message, line=line)
                return
        try:
            script = read(output)
        except ParseError as error:
            yield Finding(code="syntax", message=str(error))
            return
        for (line, _), tree in zip(pieces, script.trees, strict=False):
            create = isinstance(tree, exp.Create) and tree.kind in ("TABLE", "INDEX", "VIEW")
            if not create and not isinstance(tree, exp.Insert):
                message = f"{tree.key.upper()} neither defines nor inserts anything"
                yield Finding(code="forbidden", message=message, line=line)
        found = _tables(database)
        if not found:
            yield Finding(code="no-table", message="no table is created")
        lines = {table.name.lower(): table.line for table in tables(script)}
        for name in found:
            yield from _table_findings(database, name, lines.get(name.lower()))


def _tables(database: Sandbox) -> list[str]:
    question = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    return [name for (name,) in database.ask(question)]


def _table_findings(database: Sandbox, table: str, line: int | None) -> Iterator[Finding]:
    keys: dict[int, list[tuple[str, str, str | None]]] = {}
    for row in database.ask("SELECT * FROM pragma_foreign_key_list(?) ORDER BY id, seq", table):
        keys.setdefault(row[0], []).append((row[3], row[2], row[4]))
    for parts in keys.values():
        if reason := _dangling(database, parts):
            columns = ", ".join(column for column, _, _ in parts)
            message = f"{table}({columns}) refers to {parts[0][1]}, {reason}"
            yield Finding(code="dangling-reference", message=message, line=line)
    if not database.ask("SELECT 1 FROM pragma_table_info(?) WHERE pk > 0", table):
        message = f"{table} has no primary key"
        yield Finding(code="no-primary-key", message=message, severity="warning", line=line)


def _dangling(database: Sandbox, parts: list[tuple[str, str, str | None]]) -> str | None:
    """Why a foreign key has nothing to refer to, or None."""
    target = parts[0][1]
    columns = database.ask("SELECT lower(name), pk FROM pragma_table_info(?)", target)
    if not columns:
        return "which does not exist"
    primary = {name for name, key in columns if key}
    there = {to.lower() for _, _, to in parts if to is not None}
    if not there:
        return None if len(primary) == len(parts) else "whose primary key has other columns"
    if missing := sorted(there - {name for name, _ in columns}):
        return f"which has no column {missing[0]}"
    unique = [primary]
    for (index,) in database.ask('SELECT name FROM pragma_index_list(?) WHERE "unique"', target):
        rows = database.ask("SELECT lower(name) FROM pragma_index_info(?)", index)
        unique.append({name for (name,) in rows})
    return None if there in unique else f"where {', '.join(sorted(there))} is no key"


def _query_findings(output: str, schema: str) -> Iterator[Finding]:
    pieces = statements(output)
    if len(pieces) != 1:
        code = "several-statements" if pieces else "no-statement"
        yield Finding(code=code, message=f"{len(pieces)} statements; one SELECT is expected")
        return
    line, piece = pieces[0]
    try:
        with sandbox() as database:
            _define(database, schema)
            database.query(piece)
        _single_query(read(output))
    except Failed as failed:
        yield Finding(code=failed.code, message=failed.message, line=line)
    except ParseError as error:
        yield Finding(code="syntax", message=str(error), line=line)


def _define(database: Sandbox, schema: str) -> None:
    """Make the context's tables. Raises Failed, naming the context."""
    try:
        for _, piece in statements(schema):
            database.define(piece)
    except Failed as failed:
        message = f"the context's schema does not run: {failed.message}"
        raise Failed("bad-schema", message) from failed


# --- reading ------------------------------------------------------------------------------------


def _script(output: str) -> Script:
    if finding := _unfit(output):
        raise parse_error(finding)
    return read(output)


def _single_query(script: Script) -> exp.Expression:
    from sqlglot import exp

    found = script.trees[0] if len(script.trees) == 1 else None
    if isinstance(found, exp.Select | exp.SetOperation | exp.Subquery):
        return found
    raise ParseError("not a single SELECT")


def _columns(schema: str) -> dict[str, frozenset[str]]:
    return {
        table.name.lower(): frozenset(name.lower() for name, _, _ in table.columns)
        for table in tables(read(schema))
    }


# --- answers ------------------------------------------------------------------------------------


def _same_answer(output: str, reference: str, schema: str) -> float:
    expected = _single_query(_script(reference))
    wanted = mentioned(
        [expected, *(check for table in tables(read(schema)) for check in table.checks)]
    )
    with sandbox() as database:
        try:
            _define(database, schema)
            fill(database, schema, wanted)
            right = _rounded(database.query(reference))
        except Failed as failed:
            raise ParseError(f"the reference has no answer: {failed.message}") from failed
        try:
            found = _rounded(database.query(output))
        except Failed:
            return 0.0
    if expected.args.get("order") is not None:
        return float(found == right)
    return float(Counter(found) == Counter(right))


def _rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [
        tuple(float(f"{cell:.9g}") if isinstance(cell, float) else cell for cell in row)
        for row in rows
    ]
