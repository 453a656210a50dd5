"""Examples from templates: two or three things with attributes, said in plain English, drawn.

For the kinds of task that describe such things: Mermaid ER diagrams, SQL (tables, and queries over
a given schema) and Gherkin. What is drawn comes from an argument, so a seed names its examples;
prompt and target are written from the same draw, so they say the same thing.

Such examples teach a form, not a domain: the words are few and the sentences stiff.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from honewheel.errors import InputError
from honewheel.events.drafts import Draft

VERSION = 1

# Nouns whose plural is an added s, that begin with a consonant, and that no grammar reserves.
NOUNS = (
    "branch_office bakery_order parcel courier tenant landlord lease meter reading pump valve "
    "greenhouse seedling gardener beekeeper hive harvest kitchen recipe supplier pallet forklift "
    "warehouse dock shipment vessel container manifest captain ferry ticket passenger platform "
    "tram depot driver mechanic workshop bicycle rental customer voucher campaign newsletter "
    "subscriber museum painting donor curator lender choir singer concert rehearsal venue "
    "festival tent volunteer shift roster nurse ward therapist session treatment laboratory "
    "sample technician microscope telescope planet surveyor parcel_map contract clause notary "
    "deposit withdrawal teller vault satellite sensor gateway router firmware playlist podcast"
).split()
ATTRIBUTES: Mapping[str, str] = {
    "name": "text",
    "label": "text",
    "note": "text",
    "colour": "text",
    "postcode": "text",
    "telephone": "text",
    "weight": "number",
    "height": "number",
    "balance": "number",
    "capacity": "whole",
    "priority": "whole",
    "floor": "whole",
    "quantity": "whole",
    "opening_day": "day",
    "closing_day": "day",
    "delivery_day": "day",
    "active_flag": "flag",
    "paid_flag": "flag",
}
VERBS = "holds lists owns tracks keeps manages records uses".split()
MERMAID = {
    "text": "string",
    "number": "decimal",
    "whole": "int",
    "day": "date",
    "flag": "boolean",
}
SQL = {
    "text": "TEXT NOT NULL",
    "number": "NUMERIC",
    "whole": "INTEGER",
    "day": "DATE",
    "flag": "BOOLEAN",
}
ROLES = "clerk manager bookkeeper guest trainee supervisor planner steward".split()
ACTIONS = "archive approve rename duplicate export reopen transfer print".split()
CARDINALITIES = (
    ("||--o{", "any number of"),
    ("||--|{", "at least one"),
    ("||--||", "exactly one"),
    ("||--o|", "at most one"),
)


class Thing(NamedTuple):
    """A noun with its attributes (name, type in words)."""

    name: str
    attributes: tuple[tuple[str, str], ...]


class Bond(NamedTuple):
    """A relation from one thing to the next."""

    parent: str
    child: str
    verb: str
    sign: str
    words: str


class World(NamedTuple):
    """What one example is about."""

    things: tuple[Thing, ...]
    bonds: tuple[Bond, ...]


def drafts(kind: str, seed: int) -> Iterator[Draft]:
    """Examples of a kind without end. Raises InputError for a kind without templates."""
    if kind not in TEMPLATES:
        known = ", ".join(sorted(TEMPLATES))
        raise InputError(f"There are no templates for tasks of kind {kind}; there are for: {known}")
    made = _endless(kind, random.Random(f"{VERSION} {kind} {seed}"))
    return (
        Draft(
            prompt=draft.prompt,
            target=draft.target,
            context=draft.context,
            made_from={"template": f"{kind}/{VERSION}", "seed": seed, "draw": draw},
        )
        for draw, draft in enumerate(made)
    )


def _endless(kind: str, rng: random.Random) -> Iterator[Draft]:
    while True:
        yield rng.choice(TEMPLATES[kind])(rng)


def _world(rng: random.Random, fewest: int = 2) -> World:
    names = rng.sample(NOUNS, rng.randint(fewest, 3))
    things = tuple(
        Thing(name, tuple((key, ATTRIBUTES[key]) for key in rng.sample(sorted(ATTRIBUTES), 3)))
        for name in names
    )
    bonds = tuple(
        Bond(names[0], child, rng.choice(VERBS), *rng.choice(CARDINALITIES)) for child in names[1:]
    )
    return World(things, bonds)


def _described(rng: random.Random, world: World, wish: str) -> str:
    parts = [_thing(rng, thing) for thing in world.things] + [_bond(bond) for bond in world.bonds]
    rng.shuffle(parts)
    return " ".join([wish, *parts] if rng.random() < 0.5 else [*parts, wish])


def _thing(rng: random.Random, thing: Thing) -> str:
    said = [_plain(name) for name, _ in thing.attributes]
    pattern = rng.choice(
        (
            "Every {t} comes with {a}.",
            "Of a {t} the {a} matter.",
            "A {t} is described by {a}.",
            "For one {t}, keep {a}.",
        )
    )
    return pattern.format(t=_plain(thing.name), a=f"{', '.join(said[:-1])} and {said[-1]}")


def _bond(bond: Bond) -> str:
    child = _plain(bond.child)
    many = bond.words in ("any number of",)
    return (
        f"One {_plain(bond.parent)} {bond.verb} {bond.words} {_plural(child) if many else child}."
    )


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _plural(noun: str) -> str:
    return f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"


def _erd(rng: random.Random) -> Draft:
    world = _world(rng)
    lines = ["erDiagram"]
    for thing in world.things:
        lines += [f"  {thing.name} {{", "    int id PK"]
        lines += [
            f"    int {bond.parent}_id FK" for bond in world.bonds if bond.child == thing.name
        ]
        lines += [f"    {MERMAID[kind]} {name}" for name, kind in thing.attributes]
        lines.append("  }")
    lines += [f"  {bond.parent} {bond.sign} {bond.child} : {bond.verb}" for bond in world.bonds]
    wish = rng.choice(
        ("Sketch this as a Mermaid ER diagram.", "Turn that into an erDiagram for Mermaid.")
    )
    return Draft(prompt=_described(rng, world, wish), target="\n".join(lines))


def _tables(world: World) -> str:
    made = []
    for thing in world.things:
        columns = ["  id INTEGER PRIMARY KEY"]
        for bond in world.bonds:
            if bond.child == thing.name:
                unique = (
                    " UNIQUE" if bond.words.endswith("one") and "least" not in bond.words else ""
                )
                columns.append(
                    f"  {bond.parent}_id INTEGER NOT NULL{unique} REFERENCES {bond.parent} (id)"
                )
        columns += [f"  {name} {SQL[kind]}" for name, kind in thing.attributes]
        made.append(f"CREATE TABLE {thing.name} (\n" + ",\n".join(columns) + "\n);")
    return "\n".join(made)


def _ddl(rng: random.Random) -> Draft:
    world = _world(rng)
    wish = rng.choice(("Give me the CREATE TABLE statements.", "Which SQL tables hold this?"))
    return Draft(prompt=_described(rng, world, wish), target=_tables(world))


def _query(rng: random.Random) -> Draft:
    world = _world(rng)
    bond = rng.choice(world.bonds)
    child = next(thing for thing in world.things if thing.name == bond.child)
    prompt, target = rng.choice((_counting, _joining, _filtering))(rng, bond, child)
    return Draft(prompt=prompt, target=target, context={"schema": _tables(world)})


def _counting(rng: random.Random, bond: Bond, child: Thing) -> tuple[str, str]:
    least = rng.randint(2, 9)
    prompt = f"Which {_plain(bond.parent)} ids have {least} or more {_plural(_plain(child.name))}?"
    return prompt, (
        f"SELECT {bond.parent}_id\nFROM {child.name}\nGROUP BY {bond.parent}_id\n"
        f"HAVING COUNT(*) >= {least};"
    )


def _joining(rng: random.Random, bond: Bond, child: Thing) -> tuple[str, str]:
    name = rng.choice(child.attributes)[0]
    shown = f"{_plain(name)} of every {_plain(child.name)}"
    prompt = f"Show the {shown} beside the id of its {_plain(bond.parent)}, sorted by that id."
    return prompt, (
        f"SELECT {bond.parent}.id, {child.name}.{name}\nFROM {child.name}\n"
        f"JOIN {bond.parent} ON {bond.parent}.id = {child.name}.{bond.parent}_id\n"
        f"ORDER BY {bond.parent}.id;"
    )


def _filtering(rng: random.Random, bond: Bond, child: Thing) -> tuple[str, str]:
    name, _ = rng.choice(child.attributes)
    number = rng.randint(1, 99)
    prompt = (
        f"How many {_plural(_plain(child.name))} of {_plain(bond.parent)} {number} have a known "
        f"{_plain(name)}?"
    )
    return prompt, (f"SELECT COUNT({name})\nFROM {child.name}\nWHERE {bond.parent}_id = {number};")


def _feature(rng: random.Random) -> Draft:
    thing, other = (_plain(name) for name in rng.sample(NOUNS, 2))
    may, must_not = rng.sample(ROLES, 2)
    action = rng.choice(ACTIONS)
    most = rng.randint(2, 20)
    wish = rng.choice(("Put it into Gherkin.", "Write that down as a Gherkin feature."))
    rules = [
        f"A {may} may {action} a {thing} that belongs to a {other}.",
        f"A {must_not} must not do that.",
        f"No more than {most} {_plural(thing)} may be open for one {other}.",
    ]
    count = rng.randint(2, 3)
    prompt = " ".join([*rules[:count], wish])
    lines = [
        f"Feature: {action.capitalize()} a {thing}",
        f"  Scenario: A {may} may {action} it",
        f"    Given a {thing} that belongs to a {other}",
        f"    When a {may} tries to {action} the {thing}",
        "    Then it is done",
        f"  Scenario: A {must_not} is refused",
        f"    Given a {thing} that belongs to a {other}",
        f"    When a {must_not} tries to {action} the {thing}",
        "    Then it is refused",
    ]
    limit = [
        f"  Scenario: The limit of open {_plural(thing)}",
        f"    Given a {other} with {most} open {_plural(thing)}",
        f"    When another {thing} is opened for the {other}",
        "    Then it is refused",
    ]
    return Draft(prompt=prompt, target="\n".join([*lines, *(limit if count == 3 else [])]))


TEMPLATES: Mapping[str, tuple[Callable[[random.Random], Draft], ...]] = {
    "mermaid-erd": (_erd,),
    "sql": (_ddl, _query),
    "gherkin": (_feature,),
}
