"""What SQL is when names, order and layout are forgotten: the equivalence keys.

DDL becomes a graph of tables, columns and keys, hashed by colour refinement. A query is brought
to a normal form: equal keys mean equivalent queries; not every equivalent pair has equal keys.
A query's tables and columns belong to the schema, so their names count; aliases, the order of
conjuncts, of inner joins and of GROUP BY, and the sides of a comparison do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from honewheel.records import digest
from honewheel.tasks.facts import graph_key
from honewheel.tasks.sql_facts import Script, conjuncts, join_kind, rendered, tables

if TYPE_CHECKING:
    from sqlglot import exp


def definition_key(script: Script) -> str:
    """Hash of a schema's shape: types, constraints, keys and references, no names."""
    from sqlglot import exp

    colours: list[str] = []
    edges: list[tuple[int, str, int]] = []
    place: dict[tuple[str, str], int] = {}
    found = tables(script)

    def node(colour: str) -> int:
        colours.append(colour)
        return len(colours) - 1

    for table in found:
        place[table.name.lower(), ""] = top = node("table")
        for name, declared, constraints in table.columns:
            at = node(repr((declared, constraints)))
            place[table.name.lower(), name.lower()] = at
            edges.append((top, "column", at))
        for check in table.checks:
            edges.append((top, "check", node(_nameless(check))))
    for table in found:
        own = table.name.lower()
        primary = {item.name.lower(): item.primary for item in found}
        for label, columns in [("key", table.primary), *(("unique", row) for row in table.unique)]:
            if columns:
                middle = node(label)
                edges.append((place[own, ""], label, middle))
                edges += _edges(middle, own, columns, place)
        for columns, target, there, options in table.references:
            middle = node(f"references {options}")
            edges.append((place[own, ""], "references", middle))
            edges += _edges(middle, own, columns, place)
            edges += _edges(middle, target.lower(), there or primary.get(target.lower(), ()), place)
    for tree in script.trees:
        if not (isinstance(tree, exp.Create) and tree.kind == "TABLE"):
            node(_nameless(tree))
    return graph_key(colours, edges)


def _edges(
    middle: int, table: str, columns: tuple[str, ...], place: Mapping[tuple[str, str], int]
) -> list[tuple[int, str, int]]:
    """Numbered edges to columns (their order in a key counts); unknown ones are left out."""
    ends = [(number, (table, column.lower())) for number, column in enumerate(columns)]
    return [(middle, str(number), place[end]) for number, end in ends if end in place]


def _nameless(tree: exp.Expression) -> str:
    from sqlglot import exp

    copy = tree.copy()
    for name in copy.find_all(exp.Identifier):
        name.set("this", "_")
        name.set("quoted", False)
    return rendered(copy)


def query_key(tree: exp.Expression, columns: Mapping[str, frozenset[str]]) -> str:
    """Hash of a query's normal form; `columns` of each table decide what unqualified names mean.

    Names are compared without regard to case, as SQLite does.
    """
    from sqlglot import exp

    tree = tree.copy()
    known = {*columns, *(name for names in columns.values() for name in names)}
    for name in tree.find_all(exp.Identifier):
        lower = name.name.lower()
        if lower in known or not name.args.get("quoted"):  # SQLite reads other "quoted" as text
            name.set("this", lower)
            name.set("quoted", False)
    selects = list(tree.find_all(exp.Select))
    _rename_sources(tree, selects, columns)
    for select in reversed(selects):  # inner ones first
        _sort_parts(select)
    if isinstance(tree, exp.Select):
        _number_outputs(tree, columns)
    return digest(rendered(tree))


def _sources(select: exp.Select) -> list[exp.Expression]:
    found = [select.args["from_"].this] if select.args.get("from_") else []
    return found + [join.this for join in select.args.get("joins") or []]


def _rename_sources(
    tree: exp.Expression, selects: list[exp.Select], columns: Mapping[str, frozenset[str]]
) -> None:
    """Give every source an alias that follows from what it is, and qualify columns with it."""
    from sqlglot import exp

    uses = Counter(table.name for table in tree.find_all(exp.Table))
    seen = Counter[str]()
    scopes: dict[int, dict[str, tuple[str, frozenset[str]]]] = {}
    for select in selects:
        scope = scopes[id(select)] = {}
        for source in _sources(select):
            name = source.name if isinstance(source, exp.Table) else "query"
            seen[name] += 1
            alias = name if uses[name] == 1 else f"{name}#{seen[name]}"
            known = columns.get(name, frozenset())
            scope[source.alias_or_name] = (alias, known)
            source.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    for column in list(tree.find_all(exp.Column)):
        _qualify(column, scopes)


def _qualify(
    column: exp.Column, scopes: Mapping[int, Mapping[str, tuple[str, frozenset[str]]]]
) -> None:
    from sqlglot import exp

    select = column.find_ancestor(exp.Select)
    while select is not None:
        scope = scopes[id(select)]
        if column.table in scope:
            column.set("table", exp.to_identifier(scope[column.table][0]))
            return
        owners = [alias for alias, known in scope.values() if column.name in known]
        if not column.table and owners:
            if len(owners) == 1:
                column.set("table", exp.to_identifier(owners[0]))
            return
        select = select.find_ancestor(exp.Select)


def _sort_parts(select: exp.Select) -> None:
    """Order what has no order: conjuncts, sides of `=`, inner joins, GROUP BY, IN lists."""
    from sqlglot import exp

    for pair in list(select.find_all(exp.EQ, exp.NEQ, exp.GT, exp.GTE)):
        flipped = {exp.GT: exp.LT, exp.GTE: exp.LTE}.get(type(pair))
        if flipped is not None:
            pair.replace(flipped(this=pair.right, expression=pair.left))
        elif rendered(pair.left) > rendered(pair.right):
            left, right = pair.left, pair.right
            pair.set("this", right)
            pair.set("expression", left)
    for choice in select.find_all(exp.In):
        if choice.expressions:
            choice.set("expressions", _sorted(choice.expressions))
    if group := select.args.get("group"):
        group.set("expressions", _sorted(group.expressions))
    joins = select.args.get("joins") or []
    free = all(join_kind(join) in ("inner", "cross") and not join.args.get("using")
               for join in joins)  # fmt: skip
    conditions = []
    starred = any(item.is_star for item in select.expressions)  # joins decide its columns
    if free and joins and select.args.get("from_") and not starred:
        conditions = [part for join in joins for part in conjuncts(join.args.get("on"))]
        first, *others = _sorted(_sources(select))
        select.args["from_"].set("this", first)
        select.set("joins", [exp.Join(this=source, kind="CROSS") for source in others])
    for join in select.args.get("joins") or []:
        if join.args.get("on") is not None:
            join.set("on", _conjunction(conjuncts(join.args["on"])))
    where = select.args.get("where")
    conditions += conjuncts(where.this if where else None)
    if conditions:
        select.set("where", exp.Where(this=_conjunction(conditions)))
    if having := select.args.get("having"):
        having.set("this", _conjunction(conjuncts(having.this)))


def _sorted(items: list[exp.Expression]) -> list[exp.Expression]:
    return sorted(items, key=lambda item: rendered(item))


def _conjunction(parts: list[exp.Expression]) -> exp.Expression:
    from sqlglot import exp

    whole, *rest = _sorted([part.copy() for part in parts])
    for part in rest:
        whole = exp.And(this=whole, expression=part)
    return whole


def _number_outputs(select: exp.Select, columns: Mapping[str, frozenset[str]]) -> None:
    """Replace the output names of a query by their position, also where clauses use them."""
    from sqlglot import exp

    taken = {name for source in _sources(select) for name in columns.get(source.name, ())}
    numbers: dict[str, str] = {}
    for number, item in enumerate(select.expressions):
        if isinstance(item, exp.Alias):
            numbers.setdefault(item.alias, f"out{number}")
            item.replace(item.this)
    for clause in ("group", "having", "order"):
        found = select.args.get(clause)
        for column in list(found.find_all(exp.Column)) if found else []:
            own = clause == "order" or column.name not in taken
            if not column.table and column.name in numbers and own:
                column.this.set("this", numbers[column.name])
