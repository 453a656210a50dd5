"""Boundary-value tables: what each rule asks for, and what the oracle finds missing or wrong."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from honewheel.errors import InputError, ParseError
from honewheel.tasks.asked import with_prompt
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.boundary_table import BoundaryTable, Requirement, ask, read, write

TASK = BoundaryTable()
AGE = ask(Requirement(low=18, high=65, optional=False), digits=2, field="age")
TWO = "value,expected\n17,reject\n18,accept\n65,accept\n66,reject"

REQUIREMENTS = st.builds(
    lambda low, more, optional: Requirement(low=low, high=min(98, low + more), optional=optional),
    st.integers(1, 98),
    st.integers(0, 97),
    st.booleans(),
)


def test_two_values_are_the_boundary_and_its_neighbour_outside():
    assert base.of(AGE).solve(AGE, {}) == TWO


@pytest.mark.parametrize("optional", [True, False])
def test_three_values_and_the_empty_one(optional):
    prompt = ask(
        Requirement(low=18, high=65, optional=optional), digits=2, rule="three-value-empty"
    )
    values = [value for value, _ in read(base.of(prompt).solve(prompt, {}))]
    assert values == [17, 18, 19, 64, 65, 66, None]
    last = read(base.of(prompt).solve(prompt, {}))[-1][1]
    assert last == ("accept" if optional else "reject")


@given(REQUIREMENTS, st.sampled_from(TASK.rules))
def test_the_exact_table_goes_through_tokens_and_is_right(requirement, rule):
    prompt = ask(requirement, digits=2, rule=rule)
    puzzle = base.of(prompt)
    answer = puzzle.solve(prompt, {})
    tokens = puzzle.target(prompt, {}, answer)
    assert tokens.shape == puzzle.encode(prompt, {}).shape == (26,)
    assert tokens.max() < puzzle.vocabulary == 17
    assert puzzle.decode(prompt, {}, tokens) == answer
    assert set(TASK.compare(answer, answer, with_prompt(prompt, {})).values()) == {1.0}
    assert TASK.check(answer, with_prompt(prompt, {})).score == 1


@given(REQUIREMENTS, st.randoms(use_true_random=False))
def test_the_order_of_tests_does_not_count(requirement, random):
    prompt = ask(requirement, digits=2, rule="three-value")
    rows = list(read(base.of(prompt).solve(prompt, {})))
    random.shuffle(rows)
    found = TASK.compare(write(rows), base.of(prompt).solve(prompt, {}), with_prompt(prompt, {}))
    assert found["exact"] == 1
    same = base.of(prompt).target(prompt, {}, write(rows))
    assert (same == base.of(prompt).target(prompt, {}, base.of(prompt).solve(prompt, {}))).all()


@pytest.mark.parametrize(
    ("output", "code", "valid"),
    [
        (TWO.replace("17,reject", "17,accept"), "wrong-verdict", False),
        (TWO.replace("66,reject", ""), "missing-value", False),
        (TWO + "\n40,accept", "extra-value", True),
        (TWO + "\n17,reject", "repeated-value", True),
        (TWO + "\n17;reject", "syntax", False),
        ("Here is your table", "syntax", False),
    ],
)
def test_the_oracle_names_what_is_wrong(output, code, valid):
    found = TASK.check(output, with_prompt(AGE, {}))
    assert [finding.code for finding in found.findings] == [code]
    assert found.valid == valid


def test_coverage_and_economy_are_measured():
    asked = with_prompt(AGE, {})
    half = TASK.compare("17,reject\n18,accept", TWO, asked)
    assert half["boundary_coverage"] == 0.5
    assert half["economy"] == 1.0
    assert half["score"] == 0
    more = TASK.compare(TWO + "\n40,accept\n41,accept\n42,accept\n43,accept", TWO, asked)
    assert more["boundary_coverage"] == 1.0
    assert more["economy"] == 0.5
    assert more["valid"] == 1
    assert more["exact"] == 0
    assert TASK.compare("none", TWO, asked)["boundary_coverage"] == 0


def test_the_baseline_tests_only_what_should_work():
    found = TASK.compare(base.of(AGE).baseline(AGE, {}), TWO, with_prompt(AGE, {}))
    assert found["boundary_coverage"] == 0.5
    assert found["valid"] == 0


def test_the_field_is_no_part_of_the_question_and_the_rule_is_none_of_the_encoding():
    other = ask(Requirement(low=18, high=65, optional=False), digits=2, field="floor")
    assert TASK.group_keys(AGE, {}) == TASK.group_keys(other, {})
    stricter = ask(Requirement(low=18, high=65, optional=False), digits=2, rule="three-value")
    assert TASK.group_keys(AGE, {}) != TASK.group_keys(stricter, {})
    assert (base.of(AGE).encode(AGE, {}) == base.of(stricter).encode(stricter, {})).all()
    assert (base.of(AGE).relations() == base.of(stricter).relations()).all()


def test_what_a_model_spells_wrongly_is_shown_and_judged():
    puzzle = base.of(AGE)
    tokens = puzzle.target(AGE, {}, TWO)
    tokens[5], tokens[10] = 4, 9  # a verdict for a digit, a digit for a verdict
    output = puzzle.decode(AGE, {}, tokens)
    assert output.splitlines()[1:3] == ["?7,reject", "18,?"]
    assert TASK.check(output, with_prompt(AGE, {})).findings[0].code == "syntax"


def test_levels_are_made_as_asked():
    for level in TASK.levels:
        made = TASK.generate("2", "two-value", level, np.random.default_rng(1))
        assert {one.level for one in itertools.islice(made, 3)} == {level}


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"digits": 2, "low": 0, "high": 9}, "low = 0 is outside 1 .. 98"),
        ({"digits": 2, "low": 9, "high": 8}, "high = 8 is outside 9 .. 98"),
        ({"digits": 2, "low": 9, "high": 99}, "high = 99 is outside"),
        ({"digits": 2, "low": 9, "high": True}, "high is True"),
        ({"digits": 2, "low": 1, "high": 9, "optional": 1}, "optional is 1"),
        ({"digits": 2, "low": 1, "high": 9, "field": 1}, "field is 1"),
        ({"digits": 2, "low": 1, "high": 9, "unit": "m"}, "no entry 'unit'"),
    ],
)
def test_an_impossible_requirement_is_refused(entries, told):
    with pytest.raises(ParseError, match=told):
        base.of(base.ask("boundary-table", entries))


def test_a_table_that_does_not_fit_is_no_target():
    puzzle = base.of(AGE)
    with pytest.raises(ParseError, match="8 tests; 7"):
        puzzle.target(AGE, {}, write([(value, "accept") for value in range(8)]))
    with pytest.raises(ParseError, match="more than 2 digits"):
        puzzle.target(AGE, {}, "100,reject")


def test_options_of_making_are_checked():
    for wrong in (("9", "two-value", None), ("2", "x", None), ("2", "two-value", "x")):
        with pytest.raises(InputError, match="is one of"):
            next(TASK.generate(*wrong, np.random.default_rng(0)))
