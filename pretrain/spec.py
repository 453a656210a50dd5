"""What an example is about, before it is phrased as a request or rendered in a style."""

import random
from dataclasses import dataclass
from enum import StrEnum

from lexicon import (
    ATTRIBUTES,
    DOMAINS,
    NOUNS,
    VERBS,
    Attribute,
    Verb,
    pseudo_attribute,
    pseudo_word,
)


class Cardinality(StrEnum):
    """How many children one parent has."""

    MANY = "many"
    SOME = "some"
    ONE = "one"


@dataclass(frozen=True)
class Entity:
    """An entity; `words` may hold a space (`order item`)."""

    words: str
    attributes: tuple[Attribute, ...]

    @property
    def name(self) -> str:
        """The entity as an identifier."""
        return self.words.replace(" ", "_")


@dataclass(frozen=True)
class Relation:
    """`parent` verb `child`; the child holds the foreign key."""

    parent: Entity
    verb: Verb
    child: Entity
    cardinality: Cardinality


@dataclass(frozen=True)
class Model:
    """A data model: entities in the order the request names them."""

    domain: str
    entities: tuple[Entity, ...]
    relations: tuple[Relation, ...]

    def parents(self, entity: Entity) -> list[Entity]:
        """The entities this one refers to, in the order of the relations."""
        return [rel.parent for rel in self.relations if rel.child == entity]

    def parents_first(self) -> list[Entity]:
        """The entities ordered so that every foreign key points backwards."""
        done: list[Entity] = []
        waiting = list(self.entities)
        while waiting:
            ready = next(e for e in waiting if all(p in done for p in self.parents(e)))
            done.append(ready)
            waiting.remove(ready)
        return done


@dataclass(frozen=True)
class WordSource:
    """Where names come from: a fixed list of nouns, or made-up words at a given rate."""

    nouns: tuple[str, ...] | None = None
    pseudo_rate: float | None = None


def _noun_pool(rng: random.Random, source: WordSource) -> tuple[str, tuple[str, ...]]:
    if source.nouns is not None:
        return "", source.nouns
    if rng.random() < 0.5:
        domain = rng.choice(tuple(DOMAINS))
        return domain, DOMAINS[domain]
    return "", NOUNS


def _entity_words(rng: random.Random, pool: tuple[str, ...], pseudo_rate: float) -> str:
    if rng.random() < pseudo_rate:
        word = pseudo_word(rng)
        if rng.random() < 0.15:
            return f"{word} {rng.choice(('item', 'record', 'type', pseudo_word(rng)))}"
        return word
    word = rng.choice(pool)
    if rng.random() < 0.08:
        return f"{word} {rng.choice(('item', 'line', 'record', 'type', 'note', 'history', 'log'))}"
    return word


def _attributes(rng: random.Random, count: int, pseudo_rate: float) -> tuple[Attribute, ...]:
    chosen: dict[str, Attribute] = {}
    while len(chosen) < count:
        fresh = rng.random() < pseudo_rate
        attribute = pseudo_attribute(rng) if fresh else rng.choice(ATTRIBUTES)
        chosen.setdefault(attribute.words, attribute)
    return tuple(chosen.values())


def pseudo_rate_of(rng: random.Random, source: WordSource) -> float:
    """The rate of made-up words: half of the examples have none."""
    if source.pseudo_rate is not None:
        return source.pseudo_rate
    return rng.choice((0.0, 0.0, 0.3, 0.7))


def sample_model(
    rng: random.Random,
    source: WordSource = WordSource(),
    sizes: tuple[int, ...] = (1, 2, 2, 2, 3, 3, 3, 4, 4, 5),
) -> Model:
    """A random data model; later entities refer to earlier ones before the order is shuffled."""
    domain, pool = _noun_pool(rng, source)
    rate = pseudo_rate_of(rng, source)
    count = min(rng.choice(sizes), len(pool))
    words: dict[str, None] = {}
    while len(words) < count:
        words.setdefault(_entity_words(rng, pool, rate))
    entities: list[Entity] = []
    for word in words:
        size = 0 if rng.random() < 0.03 and entities else rng.choice((1, 2, 2, 3, 3, 4, 5))
        entities.append(Entity(word, _attributes(rng, size, rate * 0.6)))
    relations = _relations(rng, entities, rate)
    if rng.random() < 0.25:
        rng.shuffle(entities)
    entities.sort(key=lambda entity: not entity.attributes)
    return Model(domain, tuple(entities), tuple(relations))


def _verb(rng: random.Random, pseudo_rate: float) -> Verb:
    if rng.random() < pseudo_rate * 0.2:
        word = pseudo_word(rng)
        return Verb(word, word + "s", word + "ed")
    return VERBS[0] if rng.random() < 0.25 else rng.choice(VERBS)


def _relations(rng: random.Random, entities: list[Entity], pseudo_rate: float) -> list[Relation]:
    cards = (Cardinality.MANY, Cardinality.MANY, Cardinality.SOME, Cardinality.ONE)
    relations: list[Relation] = []
    for position in range(1, len(entities)):
        parents = rng.sample(entities[:position], 2 if position > 1 and rng.random() < 0.15 else 1)
        for parent in parents:
            relations.append(
                Relation(parent, _verb(rng, pseudo_rate), entities[position], rng.choice(cards))
            )
    return relations
