"""Pairwise tests: coverage, forbidden pairs, the greedy array and its size."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.errors import InputError, ParseError
from honewheel.tasks.asked import with_prompt
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.covering_array import Model, read, write
from honewheel.tasks.puzzle.pairwise import SIZES, Pairwise, ask

TASK = Pairwise()
SMALL = ask(Model((2, 2, 2), frozenset({(0, 1, 2, 1)})), [(0, 0, 0)])


@st.composite
def models(draw: st.DrawFn, size: tuple[int, int] = (4, 3)) -> Model:
    parameters, most = size
    levels = tuple(draw(st.lists(st.integers(1, most), min_size=2, max_size=parameters)))
    pairs = [
        (one, first, two, second)
        for one, two in itertools.combinations(range(len(levels)), 2)
        for first in range(levels[one])
        for second in range(levels[two])
    ]
    never = draw(st.sets(st.sampled_from(pairs), max_size=SIZES[size][0]))
    return Model(levels, frozenset(never))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SIZES)).flatmap(lambda size: models(size)))
def test_the_greedy_array_fits_covers_everything_and_meets_nothing_forbidden(model):
    if not model.goals():
        return
    prompt = ask(model)
    puzzle = base.of(prompt)
    answer = puzzle.solve(prompt, {})
    rows = read(answer)
    assert model.fewest <= len(rows) <= puzzle.height
    assert all(model.allows(row) for row in rows)
    assert set(TASK.compare(answer, answer, with_prompt(prompt, {})).values()) - {1.0} <= {
        model.fewest / len(rows)
    }
    tokens = puzzle.target(prompt, {}, answer)
    assert puzzle.decode(prompt, {}, tokens) == answer
    assert tokens.shape == puzzle.encode(prompt, {}).shape == (puzzle.length,)
    assert tokens.max() < puzzle.vocabulary
    assert puzzle.relations().shape == (3, puzzle.length, puzzle.length)


def test_three_switches_take_four_rows():
    model = Model((2, 2, 2), frozenset())
    assert model.fewest == len(model.greedy(())) == 4


def test_given_rows_stay_and_what_they_cover_is_not_covered_again():
    rows = read(base.of(SMALL).solve(SMALL, {}))
    assert rows[0] == (0, 0, 0)
    assert not any(row[0] == 1 and row[2] == 1 for row in rows)
    assert TASK.check(write(rows), with_prompt(SMALL, {})).score == 1


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("1 0 0\n0 1 1\n0 0 0\n1 1 0\n0 0 1", "given-changed"),
        ("0 0 0\n1 0 1\n0 1 1\n1 1 0\n0 0 1", "forbidden-pair"),
        ("0 0 0\n1 1 0", "missing-pair"),
        ("0 0 0\n1 1", "bad-row"),
        ("0 0 0\n1 2 0", "bad-row"),
        ("0 0 0\n1 ? 0", "syntax"),
    ],
)
def test_the_oracle_names_what_is_wrong(output, code):
    found = TASK.check(output, with_prompt(SMALL, {}))
    assert code in {finding.code for finding in found.findings}
    assert not found.valid


def test_another_right_array_is_valid_and_equivalent_but_not_the_exact_one():
    reference = base.of(SMALL).solve(SMALL, {})
    first, *rest = reference.splitlines()
    other = "\n".join([first, *reversed(rest), rest[0]])
    found = TASK.compare(other, reference, with_prompt(SMALL, {}))
    assert (found["score"], found["valid"], found["equivalent"]) == (1, 1, 1)
    assert found["exact"] == 0
    assert found["pair_coverage"] == 1
    assert found["economy"] == 4 / len(other.splitlines())
    assert [one.code for one in TASK.check(other, with_prompt(SMALL, {})).findings] == [
        "repeated-row"
    ]


def test_the_baseline_covers_a_part():
    found = TASK.compare(
        base.of(SMALL).baseline(SMALL, {}), base.of(SMALL).solve(SMALL, {}), with_prompt(SMALL, {})
    )
    assert 0 < found["pair_coverage"] < 1
    assert found["valid"] == 0


@pytest.mark.parametrize("size", ["3x3", "4x3"])
def test_made_problems_have_every_level_and_differ(size):
    made = TASK.generate(size, "pairs", None, np.random.default_rng(0))
    some = list(itertools.islice(made, 60))
    assert {one.level for one in some} == set(TASK.levels)
    assert len({TASK.group_keys(one.prompt, {}) for one in some}) > 40


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"size": [9, 9], "levels": [2, 2]}, "size is"),
        ({"size": [3, 3], "levels": [2]}, "levels is"),
        ({"size": [3, 3], "levels": [2, 4]}, "levels is"),
        ({"size": [3, 3], "levels": [2, 2], "never": [[1, 0, 0, 0]]}, "no pair"),
        ({"size": [3, 3], "levels": [2, 2], "never": [[0, 2, 1, 0]]}, "no pair"),
        ({"size": [3, 3], "levels": [2, 2], "never": [[0, 0, 1, 0]] * 3}, "at most 2"),
        ({"size": [3, 3], "levels": [2, 2], "rows": [[0, 2]]}, "no row"),
        ({"size": [3, 3], "levels": [2, 2], "rows": [[0, 1]] * 13}, "at most 12"),
        ({"size": [3, 3], "levels": [1, 1], "never": [[0, 0, 1, 0]]}, "no row is allowed"),
    ],
)
def test_an_impossible_problem_is_refused(entries, told):
    with pytest.raises(ParseError, match=told):
        base.of(base.ask("pairwise", entries))


def test_what_fits_no_size_is_refused_with_the_sizes():
    with pytest.raises(ParseError, match="3 parameters of 3 levels with 2 forbidden pairs; 4"):
        ask(Model((2,) * 6, frozenset()))


def test_an_array_that_does_not_fit_is_no_target():
    puzzle = base.of(SMALL)
    for output, told in (("0 0 0\n" * 13, "13 rows"), ("0 0", "2 levels"), ("0 0 3", "level 3")):
        with pytest.raises(ParseError, match=told):
            puzzle.target(SMALL, {}, output)
    assert (
        TASK.compare("0 0 3", base.of(SMALL).solve(SMALL, {}), with_prompt(SMALL, {}))["exact"] == 0
    )


def test_options_of_making_are_checked():
    for wrong in (("9x9", "pairs", None), ("3x3", "x", None), ("3x3", "pairs", "x")):
        with pytest.raises(InputError, match="is one of"):
            next(TASK.generate(*wrong, np.random.default_rng(0)))
