"""What the demo's team asks for: seeded requirements with the facts behind their words.

Seeds from HELD_OUT_SEED on are held out. Which pairs of words may be related, and which sets of
entities may appear together, is decided by a hash: one half is for training, the other for
held-out requirements. So the two sides differ in what they are about, not only in their wording.
"""

from __future__ import annotations

import hashlib
import random

from honewheel.demo import phrasing
from honewheel.demo.facts import (
    Cardinality,
    Entity,
    Kind,
    Limit,
    Relation,
    Requirement,
    Rules,
)
from honewheel.demo.lexicon import (
    ACTIONS,
    DOMAINS,
    PEOPLE,
    ROLES,
    attributes_of,
    verbs_of,
)
from honewheel.errors import InputError

HELD_OUT_SEED = 10_000
SIZES: dict[Kind, tuple[int, ...]] = {"erd": (2, 3, 3, 4), "ddl": (2, 2, 3)}  # entities, drawn


def requirements(kind: Kind, n: int, seed: int, *, domain: str | None = None) -> list[Requirement]:
    """`n` requirements of one kind, no two with the same prompt or the same facts.

    `domain` is one of lexicon.DOMAINS; None draws from all of them. Raises InputError on others.
    """
    if domain is not None and domain not in DOMAINS:
        raise InputError(f"No domain {domain!r}; there are: {', '.join(sorted(DOMAINS))}.")
    rng = random.Random(f"{kind} {seed} {domain}")
    held_out = seed >= HELD_OUT_SEED
    found: dict[str, Requirement] = {}
    facts: set[object] = set()
    while len(found) < n:
        place = domain or rng.choice(tuple(DOMAINS))
        name = f"{kind}-{seed}-{len(found):04d}"
        draw = _rules if kind == "gherkin" else _model
        one = draw(rng, kind, name, place, held_out)
        if one is None or one.prompt in found or _facts(one) in facts:
            continue
        found[one.prompt] = one
        facts.add(_facts(one))
    return list(found.values())


def held_out_side(*words: str) -> bool:
    """Whether these words belong together in held-out requirements (else in training ones)."""
    text = " ".join(sorted(words))
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 1


def _facts(one: Requirement) -> object:
    return one.entities, one.relations, one.rules


def _model(
    rng: random.Random, kind: Kind, name: str, domain: str, held_out: bool
) -> Requirement | None:
    """A data model whose words all belong to one side; None when this draw found none."""
    nouns = rng.sample(DOMAINS[domain], len(DOMAINS[domain]))
    if rng.random() < 0.6:
        nouns.sort(key=lambda noun: noun not in PEOPLE)
    size = rng.choice(SIZES[kind])
    chosen, relations = nouns[:1], list[Relation]()
    for noun in nouns[1:]:
        parents = [other for other in chosen if held_out_side(other, noun) == held_out]
        if parents and len(chosen) < size:
            count = 2 if len(parents) > 1 and rng.random() < 0.2 else 1
            relations += [_relation(rng, item, noun) for item in rng.sample(parents, count)]
            chosen.append(noun)
    if len(chosen) < size or held_out_side(*chosen) != held_out:
        return None
    entities = tuple(_entity(rng, noun) for noun in chosen)
    prompt = phrasing.of_model(rng, kind, domain, entities, tuple(relations))
    return Requirement(
        id=name,
        kind=kind,
        domain=domain,
        prompt=prompt,
        entities=entities,
        relations=tuple(relations),
    )


def _entity(rng: random.Random, noun: str) -> Entity:
    count = rng.choice((1, 2, 2, 3, 3, 4))
    pool = [item for item in attributes_of(noun) if item.words != noun]
    return Entity(noun, tuple(rng.sample(pool, count)))


def _relation(rng: random.Random, parent: str, child: str) -> Relation:
    cards: tuple[Cardinality, ...] = ("many", "many", "some", "one")
    return Relation(parent, rng.choice(verbs_of(parent)), child, rng.choice(cards))


def _rules(
    rng: random.Random, kind: Kind, name: str, domain: str, held_out: bool
) -> Requirement | None:
    """Rules about one entity whose (entity, action) pair belongs to one side."""
    things = [noun for noun in DOMAINS[domain] if noun not in PEOPLE]
    entity, action = rng.choice(things), rng.choice(ACTIONS)
    if held_out_side(entity, action.base) != held_out:
        return None
    allowed, refused = rng.sample([role for role in ROLES if role != entity], 2)
    fields = rng.sample([item for item in attributes_of(entity) if item.words != entity], 6)
    numbers = [item.words for item in fields if item.value in ("int", "decimal")]
    texts = [item.words for item in fields if item.value == "string"]
    limit = None
    if numbers and rng.random() < 0.5:
        limit = Limit(numbers[0], rng.choice(("at most", "at least")), rng.randint(1, 30))
    with_refused = rng.random() < 0.75
    unique = texts[0] if texts and limit is None and rng.random() < 0.25 else None
    others = {unique, limit.field if limit else None}
    required = next(item.words for item in fields if item.words not in others)
    needed = not (with_refused or unique or limit)
    rules = Rules(
        entity=entity,
        action=action,
        allowed=allowed,
        refused=refused if with_refused else None,
        required=required if needed or rng.random() < 0.6 else None,
        unique=unique,
        limit=limit,
    )
    prompt = phrasing.of_rules(rng, domain, rules)
    return Requirement(id=name, kind=kind, domain=domain, prompt=prompt, rules=rules)
