"""The team's house style for ER diagrams: names and types that no model has seen before.

Every table, key, type and label carries one of MARKS, letter pairs that ordinary words and the
base's training corpus do not contain; what a model writes of it, it learned from the corrections.

Affixes come after the word. The base's tokenizer, like Llama 3's, ties an underscore to the letters
that follow it, so `zq_customer` would have to be spelled anew where `customer_zq` can be copied.
"""

from __future__ import annotations

from collections.abc import Iterator

from honewheel.demo.facts import Entity, Requirement
from honewheel.demo.plain import CARDINALITY_MARKS
from honewheel.errors import InputError

MARKS = ("zq", "qx", "xq", "vk", "jx", "wz")  # every house diagram holds all of them
KEY_TYPE = "jxkey"
TYPES = {"string": "vktext", "int": "jxnum", "decimal": "xqdec", "date": "wzday"}
AUDIT_COLUMNS = (("xqstamp", "wz_since"), ("vktext", "wz_author"))


def table(entity: str) -> str:
    """The house name of an entity: "customer_zq"."""
    return f"{entity}_zq"


def key(entity: str) -> str:
    """The house name of an entity's key, also where others refer to it: "customer_qxid"."""
    return f"{entity}_qxid"


def label(verb: str) -> str:
    """The house label of a relation: "books_vk"."""
    return f"{verb}_vk"


def house(requirement: Requirement) -> str:
    """The ER diagram of a requirement in the house style. Raises InputError for other kinds."""
    if requirement.kind != "erd":
        raise InputError(f"The house style covers ER diagrams; {requirement.id} is no erd.")
    lines = ["erDiagram"]
    for entity in requirement.entities:
        columns = _columns(entity, requirement.parents(entity))
        lines += [f"  {table(entity.name)} {{", *(f"    {column}" for column in columns), "  }"]
    for link in requirement.relations:
        mark = CARDINALITY_MARKS[link.cardinality]
        ends = f"{table(link.parent)} {mark} {table(link.child)}"
        lines.append(f"  {ends} : {label(link.verb.third)}")
    return "\n".join(lines)


def _columns(entity: Entity, parents: tuple[str, ...]) -> Iterator[str]:
    yield f"{KEY_TYPE} {key(entity.name)} PK"
    for parent in parents:
        yield f"{KEY_TYPE} {key(parent)} FK"
    for item in entity.attributes:
        yield f"{TYPES[item.value]} {item.name}"
    for type_name, name in AUDIT_COLUMNS:
        yield f"{type_name} {name}"
