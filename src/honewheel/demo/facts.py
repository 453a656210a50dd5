"""What a request of the demo's team is about: the facts behind its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from honewheel.demo.lexicon import Attribute, Verb

Kind = Literal["erd", "ddl", "gherkin"]
Cardinality = Literal["many", "some", "one"]  # children of one parent: any, at least one, one

KINDS: tuple[Kind, ...] = ("erd", "ddl", "gherkin")


@dataclass(frozen=True, slots=True)
class Entity:
    name: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """`parent` verb `child`; the child refers to the parent."""

    parent: str
    verb: Verb
    child: str
    cardinality: Cardinality


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a number: the field must be `bound` ("at most" or "at least") `value`."""

    field: str
    bound: Literal["at most", "at least"]
    value: int


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may do what to an entity, and what its fields must hold; two rules or more."""

    entity: str
    action: Verb
    allowed: str
    refused: str | None = None
    required: str | None = None
    unique: str | None = None
    limit: Limit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One request with its facts: entities and relations (erd, ddl) or rules (gherkin)."""

    id: str
    kind: Kind
    domain: str
    prompt: str
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    rules: Rules | None = None

    def parents(self, entity: Entity) -> tuple[str, ...]:
        """Names of the entities that `entity` refers to, in the order of the relations."""
        return tuple(item.parent for item in self.relations if item.child == entity.name)
