from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import pytest

from honewheel.demo import lexicon, project
from honewheel.demo.facts import KINDS, Kind, Requirement
from honewheel.demo.house import MARKS, house
from honewheel.demo.plain import plain
from honewheel.demo.requirements import HELD_OUT_SEED, held_out_side, requirements
from honewheel.errors import InputError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return set(zip(words, words[1:], words[2:], strict=False))


def closest(ones: Sequence[Requirement], others: Sequence[Requirement]) -> float:
    """Largest Jaccard similarity of word triples between a prompt of each side."""
    left = [shingles(one.prompt) for one in ones]
    right = [shingles(one.prompt) for one in others]
    return max(len(a & b) / len(a | b) for a, b in itertools.product(left, right))


def pairs(ones: Sequence[Requirement]) -> set[frozenset[str]]:
    related = {frozenset((link.parent, link.child)) for one in ones for link in one.relations}
    ruled = {frozenset((one.rules.entity, one.rules.action.base)) for one in ones if one.rules}
    return related | ruled


def entity_sets(ones: Sequence[Requirement]) -> set[frozenset[str]]:
    return {frozenset(entity.name for entity in one.entities) for one in ones if one.entities}


def test_the_lexicon_is_large_enough_and_free_of_words_that_break_artifacts() -> None:
    reserved = {
        "order",
        "group",
        "index",
        "table",
        "check",
        "column",
        "primary",
        "select",
        "limit",
        "grant",
    }
    mermaid = {"class", "classdef", "style", "title", "direction", "end", "one", "many", "zero"}
    assert len(lexicon.NOUNS) >= 120
    assert len(lexicon.ATTRIBUTES) >= 80
    assert len({item.words for item in lexicon.ATTRIBUTES}) == len(lexicon.ATTRIBUTES)
    assert not set(lexicon.NOUNS) & (reserved | mermaid)
    assert not {item.name for item in lexicon.ATTRIBUTES} & reserved
    assert set(lexicon.NOUNS) >= lexicon.PEOPLE


def test_no_ordinary_word_holds_a_mark_of_the_house() -> None:
    verbs = (*lexicon.PEOPLE_VERBS, *lexicon.THING_VERBS, *lexicon.ACTIONS)
    words = [*lexicon.NOUNS, *lexicon.ROLES, *lexicon.DOMAINS]
    words += [item.name for item in lexicon.ATTRIBUTES] + [verb.third for verb in verbs]
    assert not [word for word in words for mark in MARKS if mark in word]


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_makes_the_same_requirements_and_another_makes_others(kind: Kind) -> None:
    first = requirements(kind, 40, 3)
    assert requirements(kind, 40, 3) == first
    assert {one.prompt for one in requirements(kind, 40, 4)} != {one.prompt for one in first}


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_ids_and_facts_are_unique(kind: Kind) -> None:
    found = requirements(kind, 300, 1)
    assert len({one.prompt for one in found}) == 300
    assert len({one.id for one in found}) == 300
    assert len({plain(one) for one in found}) == 300


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_requirements_share_no_prompt_pair_or_entity_set_with_training(kind: Kind) -> None:
    training = [one for seed in range(2) for one in requirements(kind, 150, seed)]
    held_out = requirements(kind, 160, HELD_OUT_SEED)
    assert not {one.prompt for one in training} & {one.prompt for one in held_out}
    assert not pairs(training) & pairs(held_out)
    assert not entity_sets(training) & entity_sets(held_out)
    assert closest(training[:200], held_out) < 0.6


def test_the_side_of_words_does_not_depend_on_their_order() -> None:
    sides = [held_out_side(*two) for two in itertools.combinations(lexicon.NOUNS[:40], 2)]
    assert held_out_side("guest", "room") == held_out_side("room", "guest")
    assert 0.4 < sum(sides) / len(sides) < 0.6


def test_a_domain_limits_the_words_and_an_unknown_one_is_refused() -> None:
    found = requirements("erd", 20, 1, domain="hotel")
    names = {entity.name for one in found for entity in one.entities}
    assert names <= set(lexicon.DOMAINS["hotel"])
    with pytest.raises(InputError, match="bike rental"):
        requirements("erd", 1, 1, domain="casino")


@pytest.mark.parametrize("kind", KINDS)
def test_every_domain_has_words_for_both_sides(kind: Kind) -> None:
    for domain in lexicon.DOMAINS:
        for seed in (1, HELD_OUT_SEED):
            assert len(requirements(kind, 12, seed, domain=domain)) == 12


def test_every_cardinality_and_every_rule_occurs() -> None:
    links = [link for one in requirements("erd", 100, 1) for link in one.relations]
    assert {link.cardinality for link in links} == {"many", "some", "one"}
    rules = [one.rules for one in requirements("gherkin", 100, 1) if one.rules]
    assert all((r.refused, r.required, r.unique, r.limit) != (None,) * 4 for r in rules)
    for name in ("refused", "required", "unique", "limit"):
        assert 0 < sum(getattr(rule, name) is not None for rule in rules) < 100


def test_a_prompt_names_every_entity_and_attribute() -> None:
    for one in requirements("ddl", 50, 2):
        said = one.prompt.lower()
        for entity in one.entities:
            assert lexicon.plural(entity.name) in said or entity.name in said
            assert all(item.words in said for item in entity.attributes)


def test_a_house_diagram_holds_every_mark_and_names_nothing_as_the_base_would() -> None:
    for one in requirements("erd", 200, 5):
        text = house(one)
        assert not [mark for mark in MARKS if mark not in text]
        blocks = re.findall(r"^  (\S+) \{\n(.*?)\n  \}", text, re.M | re.S)
        assert len(blocks) == len(one.entities)
        assert all(name.endswith("_zq") and NAME.fullmatch(name) for name, _ in blocks)
        for _, body in blocks:
            assert re.match(r" +jxkey \w+_qxid PK", body)
            assert body.endswith("xqstamp wz_since\n    vktext wz_author")
            assert all(re.match(r" +(vk|jx|xq|wz)", line) for line in body.splitlines())
        labels = re.findall(r": (\S+)$", text, re.M)
        assert len(labels) == len(one.relations)
        assert all(label.endswith("_vk") for label in labels)
        assert not [mark for mark in MARKS if mark in plain(one)]


def test_house_style_is_for_diagrams_only() -> None:
    with pytest.raises(InputError, match="ddl-1-0000"):
        house(requirements("ddl", 1, 1)[0])


def test_plain_style_reads_as_the_base_writes_it() -> None:
    one = next(one for one in requirements("erd", 50, 1) if len(one.entities) == 2)
    parent, child = (entity.name for entity in one.entities)
    assert plain(one).startswith(f"erDiagram\n  {parent} {{\n    int id PK\n")
    assert f"  {child} {{\n    int id PK\n    int {parent}_id FK\n" in plain(one)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, HELD_OUT_SEED])
def test_every_plain_artifact_passes_the_real_check_and_equals_itself(
    kind: Kind, seed: int
) -> None:
    for one in requirements(kind, 60, seed):
        check = project.check(kind, plain(one))
        assert check.valid, (plain(one), check.findings)
        assert project.score(kind, plain(one), plain(one)) == 1.0


@pytest.mark.parametrize("seed", [1, HELD_OUT_SEED])
def test_every_house_diagram_passes_the_real_check_and_is_far_from_plain(seed: int) -> None:
    for one in requirements("erd", 60, seed):
        check = project.check("erd", house(one))
        assert check.valid, (house(one), check.findings)
        assert project.score("erd", house(one), house(one)) == 1.0
        assert project.score("erd", plain(one), house(one)) < 0.3
