"""Rewritings of one SELECT, made on its tokens; the clauses are those of its outermost level."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from honewheel.tasks.sql_edits import (
    Edit,
    Span,
    edited,
    lowered,
    on_one_line,
    reordered,
    tokenized,
)
from honewheel.tasks.variations import Variation

_CLAUSES = {
    "SELECT", "FROM", "WHERE", "GROUP BY", "HAVING", "WINDOW", "ORDER BY", "LIMIT", "OFFSET",
    "UNION", "INTERSECT", "EXCEPT", ";",
}  # fmt: skip
_OPPOSITE = {">": "<", "<": ">=", ">=": "<", "<=": ">", "=": "<>", "<>": "=", "!=": "="}
_AGGREGATES = ("SUM", "AVG", "MIN", "MAX")
_SIDES = {"LEFT", "RIGHT", "FULL", "OUTER", "INNER", "CROSS", "NATURAL"}


def equivalents(output: str, rng: random.Random) -> Iterator[Variation]:
    """Another order of conditions and of GROUP BY, another layout."""
    tokens = tokenized(output)
    clauses = _clauses(tokens)
    parts = _conjuncts(clauses.get("WHERE", []))
    yield Variation(name="conditions-reordered", output=reordered(output, [parts], rng))
    groups = _listed(clauses.get("GROUP BY", []))
    yield Variation(name="groups-reordered", output=reordered(output, [groups], rng))
    yield Variation(name="keywords-lower", output=lowered(output, tokens))
    yield Variation(name="one-line", output=on_one_line(output, tokens))


def mutations(output: str, rng: random.Random) -> Iterator[Variation]:
    """One fault each: a clause, a condition, a column, a comparison, an order, a join."""
    tokens = tokenized(output)
    for name, edit in (*_word_faults(output, tokens, rng), *_clause_faults(output, tokens)):
        yield Variation(name=name, output=edited(output, [edit]))


def _word_faults(
    text: str, tokens: Sequence[Any], rng: random.Random
) -> Iterator[tuple[str, Edit]]:
    """Faults of a single word, at any depth."""
    for place, token in enumerate(tokens):
        word = token.text.upper()
        before = tokens[place - 1].text.upper() if place else ""
        after = tokens[place + 1].text if place + 1 < len(tokens) else ""
        span = token.start, token.end + 1
        if token.token_type.name in ("STRING", "IDENTIFIER"):
            continue
        if text[slice(*span)] in _OPPOSITE:
            yield "comparison-changed", (*span, _OPPOSITE[text[slice(*span)]])
        elif word in _AGGREGATES and after == "(":
            other = rng.choice([name for name in _AGGREGATES if name != word])
            yield "aggregate-changed", (*span, other)
        elif word == "DISTINCT":
            yield "distinct-dropped", (*span, "")
        elif word == "SELECT" and after.upper() != "DISTINCT":
            yield "distinct-added", (*span, "SELECT DISTINCT")
        elif word == "JOIN" and before not in _SIDES:
            yield "join-widened", (*span, "LEFT JOIN")
        elif word == "LEFT" and after.upper() in ("JOIN", "OUTER"):
            end = next(one.start for one in tokens[place:] if one.text.upper() == "JOIN")
            yield "join-narrowed", (token.start, end, "")
        elif before == "LIMIT" and word.isdigit():
            yield "limit-changed", (*span, str(int(word) + 1))
        elif word in ("DESC", "ASC"):
            yield "order-reversed", (*span, "ASC" if word == "DESC" else "DESC")


def _clause_faults(text: str, tokens: Sequence[Any]) -> Iterator[tuple[str, Edit]]:
    """Faults of the outermost clauses; a clause that is dropped takes its first word along."""
    clauses = _clauses(tokens)
    for word, name in (
        ("WHERE", "where-dropped"),
        ("HAVING", "having-dropped"),
        ("GROUP BY", "group-dropped"),
        ("ORDER BY", "order-dropped"),
        ("LIMIT", "limit-dropped"),
    ):
        if found := clauses.get(word):
            yield name, (found[0].start, found[-1].end + 1, "")
    if len(parts := _conjuncts(clauses.get("WHERE", []))) > 1:
        for number, (start, end) in enumerate(parts):
            yield "condition-dropped", _gap(parts, number, start, end)
        yield "and-or-swapped", (parts[0][1], parts[1][0], " OR ")
    if len(columns := _listed(clauses.get("SELECT", []))) > 1:
        for number, (start, end) in enumerate(columns):
            yield "column-dropped", _gap(columns, number, start, end)
    for start, end in _listed(clauses.get("ORDER BY", [])):
        if text[start:end].split()[-1].upper() not in ("ASC", "DESC"):
            yield "order-reversed", (end, end, " DESC")


def _gap(spans: Sequence[Span], number: int, start: int, end: int) -> Edit:
    """The edit that takes one of several spans out, with what separates it from its neighbour."""
    if number:
        return spans[number - 1][1], end, ""
    return start, spans[1][0], ""


def _clauses(tokens: Sequence[Any]) -> dict[str, list[Any]]:
    """The outermost clauses of a plain SELECT by their first word; none of a UNION."""
    found: dict[str, list[Any]] = {}
    depth = 0
    current: list[Any] = []
    for token in tokens:
        kind, word = token.token_type.name, token.text.upper()
        depth += (kind == "L_PAREN") - (kind == "R_PAREN")
        if depth == 0 and word in _CLAUSES and kind != "IDENTIFIER":
            if word in ("UNION", "INTERSECT", "EXCEPT"):
                return {}
            current = found.setdefault(word, [])
        current.append(token)
    return found


def _listed(clause: Sequence[Any]) -> list[Span]:
    """The comma-separated parts of a clause behind its first word (and DISTINCT)."""
    skip = 2 if len(clause) > 1 and clause[1].text.upper() == "DISTINCT" else 1
    return _split(clause[skip:], "COMMA")


def _conjuncts(clause: Sequence[Any]) -> list[Span]:
    """What AND joins in a WHERE; nothing where an OR or BETWEEN makes that less than plain."""
    if any(token.text.upper() in ("OR", "BETWEEN", "CASE") for token in clause):
        return []
    return _split(clause[1:], "AND")


def _split(tokens: Sequence[Any], separator: str) -> list[Span]:
    parts: list[list[Any]] = [[]]
    depth = 0
    for token in tokens:
        kind = token.token_type.name
        depth += (kind == "L_PAREN") - (kind == "R_PAREN")
        if depth == 0 and kind == separator:
            parts.append([])
        else:
            parts[-1].append(token)
    return [(part[0].start, part[-1].end + 1) for part in parts if part]
