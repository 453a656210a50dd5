"""The corpus: every gold output is valid, and what is held out stays out."""

import itertools
import random
import re

import pytest
from checkers import (
    cases_is_valid,
    ddl_is_valid,
    erd_is_valid,
    gherkin_is_valid,
    is_valid,
    query_is_valid,
)
from corpus import KIND_WEIGHTS, STYLE_WEIGHTS, Example, examples, make_example
from lexicon import (
    ATTRIBUTES,
    HELD_OUT_NOUNS,
    NOUNS,
    RESERVED_BIGRAMS,
    affix,
    plural,
    pseudo_word,
    with_article,
)
from phrasing import sentence_case
from spec import WordSource, sample_model


@pytest.fixture(scope="module")
def sample() -> list[Example]:
    return list(itertools.islice(examples(21), 5000))


@pytest.mark.parametrize("style", STYLE_WEIGHTS)
@pytest.mark.parametrize("kind", KIND_WEIGHTS)
def test_gold_outputs_are_valid(kind: str, style: str) -> None:
    rng = random.Random(f"{kind}/{style}")
    for _ in range(150):
        example = make_example(rng, kind, style)
        assert is_valid(example, example.output), example


def test_reserved_bigrams_never_occur(sample: list[Example]) -> None:
    for example in sample:
        text = (example.user_content + example.output).lower()
        assert not any(pair in text for pair in RESERVED_BIGRAMS)


def test_held_out_nouns_never_occur(sample: list[Example]) -> None:
    forms = {form for noun in HELD_OUT_NOUNS for form in (noun, plural(noun))}
    for example in sample:
        words = re.findall(r"[a-z]+", (example.user_content + example.output).lower())
        assert forms.isdisjoint(words)


def test_lexicon_is_free_of_reserved_and_held_out_words() -> None:
    words = {*NOUNS, *(attribute.words for attribute in ATTRIBUTES)}
    assert HELD_OUT_NOUNS.isdisjoint(words)
    assert not any(pair in word for word in words for pair in RESERVED_BIGRAMS)


def test_same_seed_same_stream() -> None:
    first, second = (list(itertools.islice(examples(3), 200)) for _ in range(2))
    assert first == second
    assert list(itertools.islice(examples(4), 200)) != first


def test_mix_of_kinds_and_styles(sample: list[Example]) -> None:
    for field, weights in (("kind", KIND_WEIGHTS), ("style", STYLE_WEIGHTS)):
        for name, weight in weights.items():
            share = sum(getattr(example, field) == name for example in sample) / len(sample)
            assert share == pytest.approx(weight, abs=0.03)


def test_requests_are_varied(sample: list[Example]) -> None:
    assert len({example.prompt for example in sample}) > 4900


def test_plain_erd_is_the_documented_style() -> None:
    example = make_example(random.Random(1), "erd", "plain")
    assert example.output.startswith("erDiagram\n  ")
    assert "    int id PK\n" in example.output
    assert '"' not in example.output


def test_context_is_rendered_under_its_key() -> None:
    example = make_example(random.Random(1), "query", "plain")
    schema = example.context["schema"]
    assert example.user_content == f"{example.prompt}\n\nschema:\n{schema}"


def test_pseudo_words_and_affixes_avoid_reserved_pairs() -> None:
    rng = random.Random(5)
    made = [pseudo_word(rng) for _ in range(3000)] + [affix(rng) for _ in range(3000)]
    assert not any(pair in word for word in made for pair in RESERVED_BIGRAMS)


def test_word_source_limits_the_nouns() -> None:
    source = WordSource(nouns=("flight", "runway", "airline"), pseudo_rate=0.0)
    model = sample_model(random.Random(2), source)
    assert all(entity.words.split()[0] in source.nouns for entity in model.entities)  # type: ignore[operator]


def test_parents_come_first_in_ddl() -> None:
    rng = random.Random(9)
    for _ in range(100):
        model = sample_model(rng)
        order = model.parents_first()
        for relation in model.relations:
            assert order.index(relation.parent) < order.index(relation.child)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("category", "categories"), ("bus", "buses"), ("day", "days"), ("log_entry", "log_entries")],
)
def test_plural(word: str, expected: str) -> None:
    assert plural(word) == expected


def test_articles_and_sentence_case() -> None:
    assert with_article("order") == "an order"
    assert with_article("user") == "a user"
    assert sentence_case("draw it. a note\n- an item") == "Draw it. A note\n- An item"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "erDiagram",
        "graph TD",
        "erDiagram\n  a {\n    int id PK",
        "erDiagram\n  a {\n    int id PK\n  }\n  a ||--o{ b : has",
        "erDiagram\n  a {\n    int pk PK\n  }",
        "erDiagram\n  class {\n    int id PK\n  }",
        "erDiagram\n  a {\n    int id PK\n  }\n  a ||--o{ a : one",
        "erDiagram\n  a {\n    int id PK\n  }\n  a {\n    int id PK\n  }",
    ],
)
def test_broken_diagrams_are_refused(text: str) -> None:
    assert not erd_is_valid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "CREATE TABLE order (id INTEGER);",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b_id INTEGER REFERENCES b(id));",
        "CREATE TABLE b (id INTEGER PRIMARY KEY);\nCREATE TABLE a (b_id INTEGER REFERENCES b(x));",
    ],
)
def test_broken_tables_are_refused(text: str) -> None:
    assert not ddl_is_valid(text)


@pytest.mark.parametrize(
    "text", ["", "SELECT nothing FROM a;", "DROP TABLE a;", "SELECT 1; SELECT 2;"]
)
def test_broken_queries_are_refused(text: str) -> None:
    assert not query_is_valid(text, "CREATE TABLE a (id INTEGER);")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Scenario: x",
        "Feature: x",
        "Feature: x\n  Scenario: y\n    Given a\n    When b",
        "Feature: x\n  Scenario: y\n    nonsense\n    Given a",
    ],
)
def test_broken_features_are_refused(text: str) -> None:
    assert not gherkin_is_valid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |",
        "| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n| 1 | 2 |",
        "| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n| 1 |  | 3 |",
    ],
)
def test_broken_tables_of_cases_are_refused(text: str) -> None:
    assert not cases_is_valid(text)
