"""Requests in ordinary English: many phrasings of each kind of sentence.

Variety matters more than beauty here: a model that saw one phrasing per fact would follow only
that phrasing, and users write their own.
"""

import random
import re
from collections.abc import Sequence

from lexicon import Attribute, plural, with_article
from spec import Cardinality, Entity, Model, Relation

OPENERS: dict[str, tuple[str, ...]] = {
    "erd": (
        "draw an er diagram{for_}.",
        "draw an entity relationship diagram{for_}.",
        "we need a data model{for_} as an er diagram.",
        "create a mermaid er diagram{for_}.",
        "create a mermaid erd{for_}.",
        "please draft a mermaid diagram of the entities{for_}.",
        "model the following as an entity relationship diagram.",
        "give me the erd{for_} in mermaid.",
        "i need a mermaid entity relationship diagram{for_}.",
        "turn these requirements into an er diagram.",
        "design the er diagram{for_}.",
        "produce an erd in mermaid syntax{for_}.",
        "er diagram{for_}:",
        "can you sketch an er diagram{for_}?",
        "write an erDiagram{for_}.",
        "mermaid er diagram please.",
    ),
    "ddl": (
        "create the sql tables{for_}.",
        "write a sql schema{for_}.",
        "write the create table statements{for_}.",
        "give me the ddl{for_}.",
        "we need a sql schema{for_}.",
        "please draft sql tables{for_}.",
        "turn these requirements into sql tables.",
        "design a database schema in sql{for_}.",
        "produce sql ddl{for_}.",
        "i need create table statements{for_}.",
        "sql schema{for_}:",
        "generate the sql create table script{for_}.",
        "can you write the sql tables{for_}?",
        "define the database tables in sql{for_}.",
        "ddl{for_}, please.",
    ),
    "query": (
        "write a sql query: {ask}.",
        "write a query that answers this: {ask}.",
        "sql query: {ask}.",
        "write a select statement: {ask}.",
        "i need a sql query. {ask}.",
        "give me the select statement for this: {ask}.",
        "query: {ask}.",
        "please write the sql query. {ask}.",
        "using the schema below, write a query: {ask}.",
        "{ask}. write it as a select statement.",
        "{ask}. answer with a sql query.",
        "{ask} (sql query)",
    ),
    "gherkin": (
        "write gherkin scenarios.",
        "write a gherkin feature file.",
        "write a feature file for these rules.",
        "create bdd scenarios in gherkin.",
        "we need bdd scenarios.",
        "please draft a gherkin feature.",
        "turn these rules into gherkin.",
        "give me a feature file.",
        "i need gherkin tests{for_}.",
        "gherkin scenarios{for_}:",
        "describe this behaviour as a gherkin feature.",
        "write acceptance tests in gherkin{for_}.",
        "bdd feature file{for_}:",
    ),
    "cases": (
        "write test cases.",
        "write a test case table.",
        "list the test cases for this rule.",
        "create a table of test cases.",
        "we need boundary test cases.",
        "please draft a test case table.",
        "give me the test cases for this field.",
        "turn this rule into test cases.",
        "i need a test case table for a form.",
        "derive test cases with boundary values.",
        "test cases:",
        "test case table, please.",
    ),
}

DISTRACTORS: tuple[str, ...] = (
    "keep it simple.",
    "it should be easy to read.",
    "this is for our new internal tool.",
    "the team will review it next week.",
    "we start small and may extend it later.",
    "thanks!",
    "no explanation is needed.",
    "it will be used by two teams.",
    "please stick to what is written here.",
    "the first version should be ready soon.",
)

# {e} entity, {E} plural, {ae} with article; {al} "a name and an email", {l} "name and email",
# {c} "name, email".
_ENTITY_TEMPLATES: tuple[str, ...] = (
    "{ae} has {al}.",
    "{ae} has {l}.",
    "each {e} has {al}.",
    "every {e} has {l}.",
    "the {e} has {l}.",
    "{E} have {al}.",
    "{E} have {l}.",
    "the {e} with {c}.",
    "each {e} stores {l}.",
    "for each {e} we store {l}.",
    "for every {e} we keep the {l}.",
    "we record the {l} of each {e}.",
    "we track {E} with {l}.",
    "{ae} is described by {al}.",
    "{E} are described by their {l}.",
    "there are {E} with {al}.",
    "store {E} with {l}.",
    "keep the {l} of every {e}.",
    "{e}: {c}.",
    "{e} ({c}).",
    "there is {ae} with {al}.",
    "we need {E} ({c}).",
    "{ae} consists of {l}.",
    "the attributes of {ae} are {l}.",
    "the {e} includes {al}.",
)
_RELATION_TEMPLATES: dict[Cardinality, tuple[str, ...]] = {
    Cardinality.MANY: (
        "{ap} {v} many {C}.",
        "each {p} {v} many {C}.",
        "one {p} {v} many {C}.",
        "every {p} {v} zero or more {C}.",
        "{ap} can {i} many {C}.",
        "{ap} can {i} several {C}.",
        "{ap} may {i} any number of {C}.",
        "{P} {i} many {C}.",
        "{P} can {i} multiple {C}.",
        "the {p} {v} any number of {C}.",
        "each {p} can {i} zero or more {C}.",
        "{ap} {v} many {c}.",
    ),
    Cardinality.SOME: (
        "{ap} {v} one or more {C}.",
        "each {p} {v} one or more {C}.",
        "every {p} {v} at least one {c}.",
        "{ap} must {i} at least one {c}.",
        "each {p} must {i} one or more {C}.",
        "{P} {i} at least one {c}.",
        "{P} {i} one or more {C}.",
        "the {p} always {v} at least one {c}.",
        "one {p} {v} one or more {C}.",
        "{ap} {v} one or more {c}.",
    ),
    Cardinality.ONE: (
        "{ap} {v} exactly one {c}.",
        "each {p} {v} exactly one {c}.",
        "every {p} {v} one {c}.",
        "{ap} {v} a single {c}.",
        "each {p} {v} only one {c}.",
        "{ap} must {i} exactly one {c}.",
        "the {p} {v} exactly one {c}.",
        "{P} {i} exactly one {c} each.",
        "one {p} {v} exactly one {c}.",
    ),
}
# Said without a verb of their own: the relation is then labelled "has".
_BARE_RELATION_TEMPLATES: dict[Cardinality, tuple[str, ...]] = {
    Cardinality.MANY: (
        "each {c} belongs to one {p}.",
        "{ac} belongs to {ap}.",
        "{C} belong to {ap}.",
        "there are many {C} per {p}.",
        "every {c} belongs to exactly one {p}, and {ap} can have many.",
        "many {C} can belong to the same {p}.",
    ),
    Cardinality.SOME: (
        "there is at least one {c} per {p}.",
        "each {c} belongs to one {p}, and every {p} has at least one.",
    ),
    Cardinality.ONE: (
        "there is exactly one {c} per {p}.",
        "each {c} belongs to one {p}, and every {p} has exactly one.",
    ),
}


def join_words(words: Sequence[str], comma: bool = False) -> str:
    """`a`, `a and b`, `a, b and c` (or with a comma before the `and`)."""
    if len(words) < 2:
        return "".join(words)
    tail = ", and " if comma and len(words) > 2 else " and "
    return ", ".join(words[:-1]) + tail + words[-1]


def choose_opener(rng: random.Random, kind: str, domain: str) -> str:
    """An opening sentence that names the kind of artifact wanted."""
    place = ""
    if domain and rng.random() < 0.6:
        place = f" for {with_article(domain)}"
    elif rng.random() < 0.2:
        place = rng.choice((" for this", " for the following", " for our system", " for our app"))
    return rng.choice(OPENERS[kind]).replace("{for_}", place)


def sentence_case(text: str) -> str:
    """Each sentence begins with a capital letter; names inside stay as they are."""
    out = []
    fresh = True
    for char in text:
        out.append(char.upper() if fresh and char.isalpha() else char)
        if char in ".!?\n":
            fresh = True
        elif not char.isspace() and char not in "-*":
            fresh = False
    return "".join(out)


_PROPER = {
    "sql": "SQL",
    "ddl": "DDL",
    "er": "ER",
    "erd": "ERD",
    "bdd": "BDD",
    "mermaid": "Mermaid",
    "gherkin": "Gherkin",
    "markdown": "Markdown",
    "create table": "CREATE TABLE",
    "select": "SELECT",
}
_PROPER_WORDS = re.compile(
    rf"\b({'|'.join(sorted(_PROPER, key=len, reverse=True))})\b", re.IGNORECASE
)


def proper_names(text: str) -> str:
    """The request with languages and keywords in capitals, as most people write them."""
    return _PROPER_WORDS.sub(lambda found: _PROPER[found[0].lower()], text)


def _attribute_words(attribute: Attribute, snake: bool) -> str:
    return attribute.name if snake else attribute.words


def _entity_sentence(entity: Entity, template: str, snake: bool, comma: bool, with_id: bool) -> str:
    name = entity.name if snake else entity.words
    words = [_attribute_words(attribute, snake) for attribute in entity.attributes]
    if with_id:
        words.insert(0, "id")
    return template.format(
        e=name,
        E=plural(name),
        ae=with_article(name),
        al=join_words([with_article(word) for word in words], comma),
        l=join_words(words, comma),
        c=", ".join(words),
    )


def _relation_sentence(relation: Relation, template: str, snake: bool) -> str:
    parent = relation.parent.name if snake else relation.parent.words
    child = relation.child.name if snake else relation.child.words
    return template.format(
        p=parent,
        P=plural(parent),
        ap=with_article(parent),
        c=child,
        C=plural(child),
        ac=with_article(child),
        v=relation.verb.third,
        i=relation.verb.base,
    )


def _entity_sentences(rng: random.Random, model: Model, snake: bool) -> list[str]:
    comma = rng.random() < 0.3
    # Some requests spell out the key, which the artifact has anyway.
    with_id = rng.random() < 0.05
    one_style = rng.random() < 0.5
    template = rng.choice(_ENTITY_TEMPLATES)
    sentences = []
    for entity in model.entities:
        if entity.attributes:
            chosen = template if one_style else rng.choice(_ENTITY_TEMPLATES)
            sentences.append(_entity_sentence(entity, chosen, snake, comma, with_id))
    return sentences


def _relation_sentences(rng: random.Random, model: Model, snake: bool) -> list[str]:
    one_style = rng.random() < 0.4
    pick = rng.random()
    sentences = []
    for relation in model.relations:
        bare = relation.verb.base == "have" and rng.random() < 0.5
        templates = (_BARE_RELATION_TEMPLATES if bare else _RELATION_TEMPLATES)[
            relation.cardinality
        ]
        position = int(pick * len(templates)) if one_style else rng.randrange(len(templates))
        sentences.append(_relation_sentence(relation, templates[position], snake))
    return sentences


def model_request(rng: random.Random, kind: str, model: Model) -> str:
    """The request for an artifact about a data model."""
    snake = rng.random() < 0.25
    opener = choose_opener(rng, kind, model.domain)
    entities = _entity_sentences(rng, model, snake)
    relations = _relation_sentences(rng, model, snake)
    roll = rng.random()
    if roll < 0.15:
        facts = relations + entities
    elif roll < 0.35:
        facts = _riffle(rng, entities, relations)
    else:
        facts = entities + relations
    return arrange(rng, opener, facts)


def _riffle(rng: random.Random, first: list[str], second: list[str]) -> list[str]:
    """The two lists mixed, each in its own order."""
    places = [True] * len(first) + [False] * len(second)
    rng.shuffle(places)
    left, right = iter(first), iter(second)
    return [next(left) if place else next(right) for place in places]


def arrange(rng: random.Random, opener: str, facts: Sequence[str]) -> str:
    """Opener, facts and perhaps a distractor as one text, in one of several layouts."""
    parts = list(facts)
    if rng.random() < 0.15:
        parts.insert(rng.choice((0, len(parts))), rng.choice(DISTRACTORS))
    roll = rng.random()
    if roll < 0.08:
        text = "\n".join([opener, *(f"- {part}" for part in parts)])
    elif roll < 0.14:
        text = "\n".join([opener, *parts])
    elif roll < 0.2 and not opener.endswith(":"):
        text = " ".join([*parts, opener])
    else:
        text = " ".join([opener, *parts])
    return sentence_case(text) if rng.random() < 0.6 else text
