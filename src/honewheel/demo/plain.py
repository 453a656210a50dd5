"""The plain style that the embedded base writes: references of the guards, accepted as it is."""

from __future__ import annotations

from honewheel.demo.facts import Requirement, Rules
from honewheel.demo.lexicon import a
from honewheel.errors import InputError

CARDINALITY_MARKS = {"many": "||--o{", "some": "||--|{", "one": "||--||"}
_ERD_TYPES = {"string": "string", "int": "int", "decimal": "decimal", "date": "date"}
_SQL_TYPES = {"string": "TEXT", "int": "INTEGER", "decimal": "NUMERIC", "date": "DATE"}


def plain(requirement: Requirement) -> str:
    """The artifact that states exactly the requirement's facts, in the plain style."""
    if requirement.kind == "gherkin":
        if requirement.rules is None:
            raise InputError(f"{requirement.id} is a gherkin requirement without rules.")
        return _gherkin(requirement.rules)
    return _erd(requirement) if requirement.kind == "erd" else _ddl(requirement)


def _erd(requirement: Requirement) -> str:
    lines = ["erDiagram"]
    for entity in requirement.entities:
        lines += [f"  {entity.name} {{", "    int id PK"]
        lines += [f"    int {parent}_id FK" for parent in requirement.parents(entity)]
        lines += [f"    {_ERD_TYPES[item.value]} {item.name}" for item in entity.attributes]
        lines.append("  }")
    for link in requirement.relations:
        mark = CARDINALITY_MARKS[link.cardinality]
        lines.append(f"  {link.parent} {mark} {link.child} : {link.verb.third}")
    return "\n".join(lines)


def _ddl(requirement: Requirement) -> str:
    statements = []
    for entity in requirement.entities:
        columns = ["  id INTEGER PRIMARY KEY"]
        columns += [
            f"  {parent}_id INTEGER REFERENCES {parent}(id)"
            for parent in requirement.parents(entity)
        ]
        columns += [f"  {item.name} {_SQL_TYPES[item.value]}" for item in entity.attributes]
        body = ",\n".join(columns)
        statements.append(f"CREATE TABLE {entity.name} (\n{body}\n);")
    return "\n".join(statements)


def _gherkin(rules: Rules) -> str:
    thing, action = a(rules.entity), rules.action
    given = f"a logged-in {rules.allowed}"
    when = f"the {rules.allowed} {action.third} {thing}"
    done = f"the {rules.entity} is {action.participle}"
    lines = [f"Feature: {action.base.capitalize()} {thing}"]
    lines += _scenario(f"{rules.allowed} can {action.base} {thing}", [given], when, done)
    if rules.refused:
        lines += _scenario(
            f"{rules.refused} cannot {action.base} {thing}",
            [f"a logged-in {rules.refused}"],
            f"the {rules.refused} {action.third} {thing}",
            "access is denied",
        )
    if field := rules.required:
        error = f"an error says that the {field} is required"
        lines += _scenario(f"{field} is required", [given], f"{when} without {a(field)}", error)
    if field := rules.unique:
        exists = f"{thing} with the same {field} exists"
        error = f"an error says that the {field} must be unique"
        lines += _scenario(f"{field} is unique", [given, exists], when, error)
    if limit := rules.limit:
        wrong = limit.value + (1 if limit.bound == "at most" else -1)
        says = f"{limit.bound} {limit.value}"
        lines += _scenario(
            f"{limit.field} is {says}",
            [given],
            f"{when} with {a(limit.field)} of {wrong}",
            f"an error says that the {limit.field} must be {says}",
        )
    return "\n".join(lines)


def _scenario(title: str, given: list[str], when: str, then: str) -> list[str]:
    first, *more = given
    steps = [f"Given {first}", *(f"And {step}" for step in more), f"When {when}", f"Then {then}"]
    return [f"  Scenario: {title}", *(f"    {step}" for step in steps)]
