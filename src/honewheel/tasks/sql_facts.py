"""What SQL states, read from sqlglot's syntax tree (SQLite dialect).

DDL: tables, columns with their type as declared (sqlglot would fold NUMERIC into DECIMAL),
constraints; whether a key is declared beside its column or below does not matter. Queries: each
clause's parts, conjuncts one by one, names and aliases as written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from honewheel.errors import ParseError
from honewheel.records import Fact

if TYPE_CHECKING:
    from sqlglot import exp

MAX_DEPTH = 200  # levels of a syntax tree
MAX_BARE_JOINS = 8

_AFTER_TYPE = {
    "AS", "AUTOINCREMENT", "CHECK", "COLLATE", "CONSTRAINT", "DEFAULT", "FOREIGN KEY",
    "GENERATED", "NOT", "NULL", "PRIMARY KEY", "REFERENCES", "UNIQUE", ",", ")",
}  # fmt: skip


class Script(NamedTuple):
    """Parsed statements and the declared type of each column, by the offset of its name."""

    trees: tuple[exp.Expression, ...]
    types: dict[int, str]


@lru_cache(maxsize=512)
def read(text: str) -> Script:
    """The statements of `text`; treat the trees as frozen, they are shared.

    Raises:
        ParseError: sqlglot cannot read it, or it is nested too deeply.
    """
    from sqlglot import exp
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.errors import SqlglotError

    # It warns on stderr about what is a finding here.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    dialect = Dialect.get_or_raise("sqlite")
    try:
        tokens = dialect.tokenize(text)
        _refuse_bare_joins(tokens)
        parsed = dialect.parser().parse(tokens, text)
    except SqlglotError as error:
        raise ParseError(_plain(str(error))) from error
    except RecursionError as error:
        raise ParseError("expressions are nested too deeply") from error
    trees = [tree for tree in parsed if tree is not None and not isinstance(tree, exp.Semicolon)]
    if any(_depth(tree) > MAX_DEPTH for tree in trees):
        raise ParseError("expressions are nested too deeply")
    place = {token.start: number for number, token in enumerate(tokens)}
    types = {}
    for tree in trees:
        for column in tree.find_all(exp.ColumnDef):
            start = column.this.meta.get("start")
            if start in place:
                types[start] = _declared(tokens, place[start] + 1)
    return Script(tuple(trees), types)


def rendered(tree: exp.Expression) -> str:
    """SQL text of a tree in one layout, without comments."""
    text: str = tree.sql("sqlite", comments=False)
    return text


def _refuse_bare_joins(tokens: Sequence[Any]) -> None:
    """Sqlglot's time doubles with each JOIN that has no ON or USING before the next one."""
    runs = [0]
    for before, token in pairwise([None, *tokens]):
        match token.token_type.name:
            case "L_PAREN":
                runs.append(0)
            case "R_PAREN" if len(runs) > 1:
                runs.pop()
            case "ON" | "USING":
                runs[-1] = 0
            case "JOIN" if before is None or before.text.upper() != "CROSS":
                runs[-1] += 1
                if runs[-1] > MAX_BARE_JOINS:
                    raise ParseError(f"more than {MAX_BARE_JOINS} JOINs in a row without ON")


def _depth(tree: exp.Expression) -> int:
    deepest, waiting = 0, [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(child, depth + 1) for child in node.iter_expressions()]
    return deepest


def _plain(message: str) -> str:
    """The first line of sqlglot's message, without its terminal colours."""
    line = next(iter(message.splitlines()), "") or "cannot be read"
    return line.replace("\x1b[4m", "").replace("\x1b[0m", "")


def _declared(tokens: list[Any], at: int) -> str:
    parts: list[str] = []
    depth = 0
    for token in tokens[at:]:
        text = token.text.upper()
        if depth == 0 and (text in _AFTER_TYPE or token.token_type.name == "SEMICOLON"):
            break
        depth += {"(": 1, ")": -1}.get(text, 0)
        close = not parts or text in "(),"[:3] or parts[-1].endswith(("(", ","))
        parts.append(text if close else f" {text}")
    return "".join(parts)


# --- definitions --------------------------------------------------------------------------------


class Table(NamedTuple):
    """One CREATE TABLE: columns as (name, type, constraints), keys as tuples of column names."""

    name: str
    line: int | None
    columns: list[tuple[str, str, tuple[str, ...]]]
    primary: tuple[str, ...]
    unique: list[tuple[str, ...]]
    checks: list[exp.Expression]
    references: list[tuple[tuple[str, ...], str, tuple[str, ...], str]]


def tables(script: Script) -> list[Table]:
    """Every CREATE TABLE of the script, in order."""
    from sqlglot import exp

    found = []
    for tree in script.trees:
        if isinstance(tree, exp.Create) and tree.kind == "TABLE":
            found.append(_table(tree, script.types))
    return found


def _table(tree: exp.Create, types: dict[int, str]) -> Table:
    from sqlglot import exp

    schema = tree.this
    name = schema.find(exp.Table)
    table = Table(name.name, name.this.meta.get("line"), [], (), [], [], [])
    primary: list[str] = []
    for item in schema.expressions if isinstance(schema, exp.Schema) else []:
        if isinstance(item, exp.ColumnDef):
            constraints = []
            for constraint in item.args.get("constraints") or []:
                kind = constraint.kind
                if isinstance(kind, exp.PrimaryKeyColumnConstraint):
                    primary.append(item.name)
                elif isinstance(kind, exp.Reference):
                    table.references.append(_reference((item.name,), kind))
                elif isinstance(kind, exp.UniqueColumnConstraint):
                    table.unique.append((item.name,))
                elif isinstance(kind, exp.CheckColumnConstraint):
                    table.checks.append(kind.this)
                elif isinstance(kind, exp.AutoIncrementColumnConstraint):
                    constraints.append("AUTOINCREMENT")
                else:
                    constraints.append(rendered(kind))
            declared = types.get(item.this.meta.get("start"), "")
            table.columns.append((item.name, declared, tuple(sorted(constraints))))
        elif isinstance(item, exp.Identifier):
            table.columns.append((item.name, "", ()))
        else:
            named = item.expressions if isinstance(item, exp.Constraint) else [item]
            for constraint in named:
                primary += _table_constraint(table, constraint)
    return table._replace(primary=tuple(primary))


def _table_constraint(table: Table, item: exp.Expression) -> list[str]:
    """Note one table constraint; the columns of the primary key, if that is what it is."""
    from sqlglot import exp

    if isinstance(item, exp.PrimaryKey):
        return [column.name for column in item.expressions]
    if isinstance(item, exp.ForeignKey):
        columns = tuple(column.name for column in item.expressions)
        table.references.append(_reference(columns, item.args["reference"]))
    elif isinstance(item, exp.UniqueColumnConstraint) and item.this is not None:
        table.unique.append(tuple(column.name for column in item.this.expressions))
    elif isinstance(item, exp.CheckColumnConstraint):
        table.checks.append(item.this)
    return []


def _reference(
    columns: tuple[str, ...], reference: exp.Reference
) -> tuple[tuple[str, ...], str, tuple[str, ...], str]:
    from sqlglot import exp

    target = reference.this
    there = target.expressions if isinstance(target, exp.Schema) else []
    table = target.find(exp.Table)
    options = " ".join(sorted(str(option) for option in reference.args.get("options") or []))
    name = table.name if table is not None else target.name
    return columns, name, tuple(column.name for column in there), options


def definition_facts(script: Script) -> Iterator[Fact]:
    """Facts of DDL: table, column, primary-key, unique, check, references, statement."""
    from sqlglot import exp

    for table in tables(script):
        yield ("table", table.name)
        for name, declared, constraints in table.columns:
            yield ("column", table.name, name, declared, ", ".join(constraints))
        if table.primary:
            yield ("primary-key", table.name, ", ".join(table.primary))
        for columns in table.unique:
            yield ("unique", table.name, ", ".join(columns))
        for check in table.checks:
            yield ("check", table.name, rendered(check))
        for columns, target, there, options in table.references:
            yield ("references", table.name, ", ".join(columns), target, ", ".join(there), options)
    for tree in script.trees:
        if not (isinstance(tree, exp.Create) and tree.kind == "TABLE"):
            yield ("statement", rendered(tree))


# --- queries ------------------------------------------------------------------------------------


def query_facts(tree: exp.Expression, path: str = "") -> Iterator[Fact]:
    """Facts of a query, clause by clause; `path` says which arm of a UNION or which WITH."""
    from sqlglot import exp

    if (with_ := tree.args.get("with_")) is not None:
        for cte in with_.expressions:
            yield ("with", path, cte.alias)
            yield from query_facts(cte.this, f"{path}/{cte.alias}")
    if isinstance(tree, exp.SetOperation):
        distinct = "distinct" if tree.args.get("distinct") else "all"
        yield ("set", path, type(tree).__name__.lower(), distinct)
        yield from query_facts(tree.this, f"{path}/1")
        yield from query_facts(tree.expression, f"{path}/2")
    elif isinstance(tree, exp.Subquery):
        yield from query_facts(tree.this, path)
    elif isinstance(tree, exp.Select):
        yield from _select_facts(tree, path)
    for number, item in enumerate(_expressions(tree, "order")):
        yield ("order", path, str(number), rendered(item))
    for clause in ("limit", "offset"):
        if (found := tree.args.get(clause)) is not None:
            yield (clause, path, rendered(found.expression))


def _select_facts(tree: exp.Select, path: str) -> Iterator[Fact]:
    columns = [rendered(item) for item in tree.expressions]
    for column in columns:
        yield ("select", path, column)
    if len(columns) > 1:
        yield ("columns", path, ", ".join(columns))  # their order is one fact
    if tree.args.get("distinct"):
        yield ("distinct", path)
    if (source := tree.args.get("from_")) is not None:
        yield ("from", path, rendered(source.this))
    for join in tree.args.get("joins") or []:
        target = rendered(join.this)
        yield ("join", path, join_kind(join), target)
        for conjunct in conjuncts(join.args.get("on")):
            yield ("on", path, target, rendered(conjunct))
        for column in join.args.get("using") or []:
            yield ("using", path, target, column.name)
    for clause in ("where", "having"):
        if (found := tree.args.get(clause)) is not None:
            for conjunct in conjuncts(found.this):
                yield (clause, path, rendered(conjunct))
    for item in _expressions(tree, "group"):
        yield ("group", path, rendered(item))


def join_kind(join: exp.Join) -> str:
    """The words before JOIN, "inner" when there are none."""
    words = [str(join.args.get(name) or "") for name in ("method", "side", "kind")]
    return " ".join(word for word in words if word and word != "OUTER").lower() or "inner"


def conjuncts(condition: exp.Expression | None) -> list[exp.Expression]:
    """The parts of a condition that AND joins, parentheses around them opened."""
    from sqlglot import exp

    if condition is None:
        return []
    found, waiting = [], [condition]
    while waiting:
        part = waiting.pop().unnest()
        if isinstance(part, exp.And):
            waiting += [part.right, part.left]
        else:
            found.append(part)
    return found


def _expressions(tree: exp.Expression, clause: str) -> list[exp.Expression]:
    found = tree.args.get(clause)
    return [] if found is None else list(found.expressions)
