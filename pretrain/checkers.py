"""Whether an artifact is valid, by running or parsing it."""

import re
import sqlite3
from typing import Any

from corpus import Example
from gherkin.errors import CompositeParserException, ParserError
from gherkin.parser import Parser

_WORD = r"[A-Za-z_][A-Za-z0-9_-]*"
_ENTITY_START = re.compile(rf"  ({_WORD}) \{{")
_ATTRIBUTE = re.compile(rf"    ({_WORD}) ({_WORD})(?: (PK|FK))?")
_RELATION = re.compile(
    rf'  ({_WORD}) (?:\|\||\|o)--(?:o\{{|\|\{{|\|\||o\|) ({_WORD}) : ("[^"\n]+"|{_WORD})'
)
# Words the diagram's lexer takes for itself, in any letter case.
_DIAGRAM_KEYWORDS = frozenset("class style classdef subgraph end one many to title".split())
_KEY_MARKS = frozenset(("pk", "fk", "uk"))


def erd_is_valid(text: str) -> bool:
    """Strict subset of Mermaid's grammar; relations may only join entities that are declared."""
    lines = text.rstrip("\n").split("\n")
    if lines[0] != "erDiagram" or len(lines) < 3:
        return False
    declared: set[str] = set()
    inside = False
    for line in lines[1:]:
        if inside:
            attribute = _ATTRIBUTE.fullmatch(line)
            if attribute and _KEY_MARKS.isdisjoint(part.lower() for part in attribute.groups()[:2]):
                continue
            if line != "  }":
                return False
            inside = False
        elif entity := _ENTITY_START.fullmatch(line):
            if entity[1] in declared or entity[1].lower() in _DIAGRAM_KEYWORDS:
                return False
            declared.add(entity[1])
            inside = True
        elif not _relation_is_valid(line, declared):
            return False
    return not inside and bool(declared)


def _relation_is_valid(line: str, declared: set[str]) -> bool:
    relation = _RELATION.fullmatch(line)
    if relation is None or relation[3].lower() in _DIAGRAM_KEYWORDS:
        return False
    return relation[1] in declared and relation[2] in declared


def ddl_is_valid(text: str) -> bool:
    """Executes in SQLite; every foreign key refers to a column of a table created before."""
    connection = sqlite3.connect(":memory:")
    try:
        known: dict[str, set[str]] = {}
        for statement in text.strip().split(";"):
            if not statement.strip():
                continue
            connection.execute(statement)
            if not _references_hold(connection, known):
                return False
    except sqlite3.Error:
        return False
    finally:
        connection.close()
    return bool(known)


def _references_hold(connection: sqlite3.Connection, known: dict[str, set[str]]) -> bool:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
    for name in names:
        if name.lower() in known:
            continue
        for row in connection.execute(f'PRAGMA foreign_key_list("{name}")'):
            if row[4].lower() not in known.get(row[2].lower(), set()):
                return False
        info = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
        known[name.lower()] = {row[1].lower() for row in info}
    return True


def query_is_valid(text: str, schema: str) -> bool:
    """One SELECT that executes on the schema, with every quoted name being a value."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(schema)
        body = re.sub(r"^--.*\n", "", text.strip())
        if not body.lower().startswith("select "):
            return False
        connection.execute(body)
    except (sqlite3.Error, sqlite3.Warning):
        return False
    finally:
        connection.close()
    return True


def gherkin_is_valid(text: str) -> bool:
    """Parses, has a feature, and every scenario has a Given, a When and a Then."""
    try:
        # The parser's own types leave out what a child of a feature can be.
        document: Any = Parser().parse(text)
    except (CompositeParserException, ParserError):
        return False
    feature = document.get("feature")
    if not feature:
        return False
    scenarios = [child["scenario"] for child in feature["children"] if "scenario" in child]
    return bool(scenarios) and all(_has_all_steps(scenario["steps"]) for scenario in scenarios)


def _has_all_steps(steps: list[dict[str, str]]) -> bool:
    return {"Given", "When", "Then"} <= {step["keyword"].strip() for step in steps}


def cases_is_valid(text: str) -> bool:
    """A Markdown table: header, rule, at least two rows, the same number of filled cells each."""
    lines = text.strip().split("\n")
    if len(lines) < 4 or not re.fullmatch(r"\|(---\|){3,}", lines[1]):
        return False
    width = lines[1].count("---")
    rows = [line for position, line in enumerate(lines) if position != 1]
    return all(_row_is_valid(row, width) for row in rows)


def _row_is_valid(row: str, width: int) -> bool:
    if not (row.startswith("| ") and row.endswith(" |")):
        return False
    cells = row[2:-2].split(" | ")
    return len(cells) == width and all(cell.strip() for cell in cells)


def is_valid(example: Example, output: str) -> bool:
    """Whether an output is a valid artifact of the kind the example asks for."""
    if example.kind == "erd":
        return erd_is_valid(output)
    if example.kind == "ddl":
        return ddl_is_valid(output)
    if example.kind == "query":
        return query_is_valid(output, example.context["schema"])
    if example.kind == "gherkin":
        return gherkin_is_valid(output)
    return cases_is_valid(output)
