"""How the demo's team says what it needs: short ordinary English sentences."""

from __future__ import annotations

import random
from collections.abc import Sequence

from honewheel.demo.facts import Entity, Kind, Relation, Rules
from honewheel.demo.lexicon import HAVE, a, plural

_OPENERS: dict[str, tuple[str, ...]] = {
    "erd": (
        "We need an ER diagram for {d}.",
        "Please draw an entity relationship diagram for {d}.",
        "Create a Mermaid ER diagram.",
        "Draft an ER diagram in Mermaid for {d}.",
        "I need an ER diagram of the following.",
        "Can you draw the ER diagram for {d}?",
    ),
    "ddl": (
        "We need the SQL tables for {d}.",
        "Please write the CREATE TABLE statements.",
        "Write a SQL schema for {d}.",
        "Create the SQL tables.",
        "I need the DDL for {d}.",
        "Can you write the SQL schema?",
    ),
    "gherkin": (
        "Write Gherkin scenarios.",
        "We need a Gherkin feature file for {d}.",
        "Please write a feature file in Gherkin.",
        "Create Gherkin scenarios for {d}.",
        "I need acceptance tests in Gherkin.",
    ),
}
_ENTITY = (
    "{ae} has {al}.",
    "{ae} has {l}.",
    "Each {e} has {al}.",
    "Each {e} stores {l}.",
    "Every {e} has {l}.",
    "The {e} has {l}.",
    "For each {e} we store {l}.",
    "{E} have {l}.",
    "We keep the {l} of each {e}.",
)
_RELATION: dict[str, tuple[str, ...]] = {
    "many": (
        "{ap} {v} many {C}.",
        "Each {p} {v} many {C}.",
        "{ap} can {i} several {C}.",
        "{ap} may {i} any number of {C}.",
        "Every {p} {v} zero or more {C}.",
    ),
    "some": (
        "{ap} {v} one or more {C}.",
        "Each {p} {v} one or more {C}.",
        "Every {p} {v} at least one {c}.",
        "{ap} must {i} at least one {c}.",
    ),
    "one": (
        "{ap} {v} exactly one {c}.",
        "Each {p} {v} exactly one {c}.",
        "Every {p} {v} a single {c}.",
        "{ap} must {i} exactly one {c}.",
    ),
}
_BELONGS: dict[str, tuple[str, ...]] = {  # said without the verb, for "has" only
    "many": ("{ac} belongs to {ap}.", "Each {c} belongs to one {p}."),
    "some": ("There is at least one {c} per {p}.",),
    "one": ("There is exactly one {c} per {p}.",),
}
_BOTH_ROLES = (
    "{ar} can {i} {ae}, {ax} cannot.",
    "Only {ar} may {i} {ae}; {ax} is refused.",
    "{R} can {i} {E} but {X} cannot.",
    "{ar} is allowed to {i} {ae}. {ax} is not allowed to do that.",
)
_ONE_ROLE = ("{ar} can {i} {ae}.", "{R} can {i} {E}.", "{ar} is allowed to {i} {ae}.")
_REQUIRED = ("The {f} is required.", "The {f} is mandatory.", "The {f} must not be empty.")
_UNIQUE = ("The {f} must be unique.", "Two {E} cannot have the same {f}.")
_LIMIT = ("The {f} must be {b} {v}.", "The {f} is {b} {v}.")


def of_model(
    rng: random.Random,
    kind: Kind,
    domain: str,
    entities: Sequence[Entity],
    relations: Sequence[Relation],
) -> str:
    """The request for a diagram or a schema."""
    usual = rng.choice(_ENTITY)
    steady = rng.random() < 0.5
    parts = [_opener(rng, kind, domain)]
    for entity in entities:
        template = usual if steady else rng.choice(_ENTITY)
        words = [item.words for item in entity.attributes]
        parts.append(
            template.format(
                e=entity.name,
                E=plural(entity.name),
                ae=a(entity.name),
                al=_listed([a(word) for word in words]),
                l=_listed(words),
            )
        )
    parts += [_relation(rng, item) for item in relations]
    return _text(parts)


def of_rules(rng: random.Random, domain: str, rules: Rules) -> str:
    """The request for a feature file."""
    templates = [rng.choice(_BOTH_ROLES if rules.refused else _ONE_ROLE)]
    templates += [rng.choice(_REQUIRED).replace("{f}", rules.required)] if rules.required else []
    templates += [rng.choice(_UNIQUE).replace("{f}", rules.unique)] if rules.unique else []
    if rules.limit:
        said = rng.choice(_LIMIT).replace("{f}", rules.limit.field)
        templates.append(said.format(b=rules.limit.bound, v=rules.limit.value))
    refused = rules.refused or ""
    words = {
        "ar": a(rules.allowed),
        "R": plural(rules.allowed),
        "ax": a(refused) if refused else "",
        "X": plural(refused) if refused else "",
        "i": rules.action.base,
        "ae": a(rules.entity),
        "E": plural(rules.entity),
    }
    return _text(
        [_opener(rng, "gherkin", domain), *(template.format(**words) for template in templates)]
    )


def _opener(rng: random.Random, kind: str, domain: str) -> str:
    return rng.choice(_OPENERS[kind]).format(d=a(domain))


def _relation(rng: random.Random, relation: Relation) -> str:
    belongs = relation.verb == HAVE and rng.random() < 0.4
    template = rng.choice((_BELONGS if belongs else _RELATION)[relation.cardinality])
    return template.format(
        p=relation.parent,
        ap=a(relation.parent),
        c=relation.child,
        ac=a(relation.child),
        C=plural(relation.child),
        v=relation.verb.third,
        i=relation.verb.base,
    )


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _text(sentences: Sequence[str]) -> str:
    """Sentences as one text, each with a capital letter."""
    pieces = " ".join(sentences).split(". ")
    return ". ".join(piece[:1].upper() + piece[1:] for piece in pieces)
