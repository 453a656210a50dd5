"""Sudoku: what the oracle accepts, one solution, symmetries and the least form of a grid."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel import plugins
from honewheel.errors import InputError, ParseError
from honewheel.protocols import Grouped, Task
from honewheel.tasks.asked import with_prompt
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.base import Problem
from honewheel.tasks.puzzle.sudoku import Sudoku
from honewheel.tasks.puzzle.sudoku_rules import Rules

TASK = Sudoku()
VARIANTS = [
    (size, rule)
    for size in ("4", "6", "9")
    for rule in ("standard", "latin", "diagonal")
    if (size, rule) != ("9", "latin")
]
FOUR = base.ask("sudoku", {"box": [2, 2], "grid": "1..4.2......3.1."})


def problems(size: str, rule: str, count: int, level: str | None = None, seed: int = 0):
    made = TASK.generate(size, rule, level, np.random.default_rng(seed))
    return list(itertools.islice(made, count))


def regrid(one: Problem, grid: str) -> str:
    entries = base.fields(one.prompt)[1]
    return base.ask("sudoku", entries | {"grid": grid.replace("\n", "")})


def moved(one: Problem, rng: np.random.Generator) -> tuple[str, str]:
    """A symmetric problem and its answer."""
    puzzle = base.of(one.prompt)
    inputs = puzzle.encode(one.prompt, {})[None]
    labels = puzzle.target(one.prompt, {}, one.answer)[None]
    inputs, labels = base.augment(puzzle, inputs, labels, rng)
    prompt = regrid(one, puzzle.decode(one.prompt, {}, inputs[0]))
    return prompt, puzzle.decode(prompt, {}, labels[0])


def test_the_kind_is_registered_and_knows_its_questions():
    found = plugins.task("sudoku")
    assert isinstance(found, Task)
    assert isinstance(found, Grouped)
    assert base.kinds()["sudoku"] is found


@pytest.mark.parametrize(("size", "rule"), VARIANTS)
def test_a_made_problem_has_one_solution_which_the_oracle_accepts(size, rule):
    for one in problems(size, rule, 1 if size == "9" else 4):
        puzzle = base.of(one.prompt)
        assert puzzle.solve(one.prompt, {}) == one.answer
        assert puzzle.level(one.prompt, {}) == one.level
        found = TASK.compare(one.answer, one.answer, with_prompt(one.prompt, {}))
        assert set(found.values()) == {1.0}
        assert puzzle.encode(one.prompt, {}).max() < puzzle.vocabulary
        solved = puzzle.target(one.prompt, {}, one.answer)
        assert puzzle.decode(one.prompt, {}, solved) == one.answer
        assert puzzle.relations().shape == (3, puzzle.length, puzzle.length)


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_a_level_can_be_asked_for(level):
    assert {one.level for one in problems("6", "standard", 2, level)} == {level}


def test_making_is_seeded():
    assert problems("4", "diagonal", 3) == problems("4", "diagonal", 3)
    assert problems("4", "diagonal", 3) != problems("4", "diagonal", 3, seed=1)


@pytest.mark.parametrize(("size", "rule"), VARIANTS)
def test_a_symmetry_keeps_the_least_form_and_the_answer_right(size, rule):
    rng = np.random.default_rng(5)
    (one,) = problems(size, rule, 1, level="easy" if size == "9" else None)
    puzzle = base.of(one.prompt)
    ours = TASK.group_keys(one.prompt, {})
    for prompt, answer in (moved(one, rng) for _ in range(3)):
        assert TASK.group_keys(prompt, {}) == ours
        assert puzzle.check(prompt, {}, answer).valid
        lesson = TASK.lesson_key(prompt, {}, answer)
        assert lesson == TASK.lesson_key(one.prompt, {}, one.answer)


def test_the_least_form_is_that_of_all_128_arrangements():
    rules = Rules(2, 2)
    rows = rules.orders(transposed=False)
    (one, two) = problems("4", "standard", 2, seed=3)
    for problem in (one, two):
        grid = np.array(
            [0 if c == "." else int(c) for c in base.fields(problem.prompt)[1]["grid"]]
        ).reshape(4, 4)
        forms = set()
        for square, row, column in itertools.product((grid, grid.T), rows, rows):
            names: dict[int, int] = {0: 0}
            cells = square[np.ix_(row, column)].reshape(-1).tolist()
            forms.add(tuple(names.setdefault(cell, len(names)) for cell in cells))
        least = "".join(str(cell) if cell else "." for cell in min(forms))
        assert base.of(problem.prompt).canonical(problem.prompt, {}) == f"sudoku-2x2 {least}"


def test_problems_of_different_orbits_have_different_keys():
    keys = Counter(TASK.group_keys(one.prompt, {}) for one in problems("6", "standard", 30))
    assert len(keys) == 30


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_symmetries_are_maps_of_positions_and_tokens(seed, count):
    puzzle = base.of(FOUR)
    positions, tokens = puzzle.symmetries(count, np.random.default_rng(seed))
    assert positions.shape == (count, 16)
    assert tokens.shape == (count, puzzle.vocabulary)
    assert (np.sort(positions, axis=1) == np.arange(16)).all()
    assert (np.sort(tokens, axis=1) == np.arange(puzzle.vocabulary)).all()
    assert (tokens[:, :2] == [0, 1]).all()


def test_ignored_labels_stay_ignored():
    puzzle = base.of(FOUR)
    inputs = puzzle.encode(FOUR, {})[None]
    labels = np.where(inputs > 1, -100, 3)
    rng = np.random.default_rng(0)
    inputs, labels = base.augment(puzzle, np.repeat(inputs, 20, 0), np.repeat(labels, 20, 0), rng)
    assert ((labels == -100) == (inputs > 1)).all()


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("1234\n3412\n2143\n432", "syntax"),
        ("1234\n3412\n2143\n4325", "syntax"),
        ("```\n1234\n```", "code-fence"),
        ("2143341243211234", "given-changed"),
        ("1.34\n3412\n2143\n4321", "empty-cell"),
        ("1344321223414123", "repeated-digit"),
    ],
)
def test_the_oracle_names_what_is_wrong(output, code):
    found = TASK.check(output, with_prompt(FOUR, {}))
    assert code in {finding.code for finding in found.findings}
    assert found.score == 0
    assert TASK.compare(output, base.of(FOUR).solve(FOUR, {}), with_prompt(FOUR, {}))["exact"] == 0


def test_a_rule_changes_what_is_valid_and_nothing_of_the_encoding():
    latin = base.ask("sudoku", {"box": [2, 2], "rule": "latin", "grid": "1234234134124..."})
    square = "1234\n2341\n3412\n4123"
    assert TASK.check(square, with_prompt(latin, {})).valid
    plain = base.ask("sudoku", {"box": [2, 2], "grid": "1234234134124..."})
    found = TASK.check(square, with_prompt(plain, {}))
    assert [one.message for one in found.findings if "box" in one.message]
    ours, theirs = base.of(latin), base.of(plain)
    assert (ours.relations() == theirs.relations()).all()
    assert (ours.encode(latin, {}) == theirs.encode(plain, {})).all()


def test_the_baseline_keeps_the_givens_and_solves_no_hard_grid():
    (one,) = problems("6", "standard", 1, "hard")
    puzzle = base.of(one.prompt)
    found = puzzle.check(one.prompt, {}, puzzle.baseline(one.prompt, {}))
    assert not found.valid
    assert "given-changed" not in {finding.code for finding in found.findings}


def test_units_measures_how_far_an_answer_is():
    answer = base.of(FOUR).solve(FOUR, {})
    assert base.of(FOUR).measures(FOUR, {}, answer) == {"units": 1.0}
    swapped = answer[:-2] + answer[-1] + answer[-2]  # two columns are wrong, and nothing else
    assert base.of(FOUR).measures(FOUR, {}, swapped)["units"] == pytest.approx(10 / 12)
    assert base.of(FOUR).measures(FOUR, {}, "nothing") == {"units": 0.0}


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("A museum has rooms.", "no puzzle"),
        ('{"puzzle": "sudoku", "box": [2, 2]}', "grid is None"),
        ('{"puzzle": "sudoku", "box": [5, 2], "grid": ""}', "box is"),
        ('{"puzzle": "sudoku", "box": [2, 2], "grid": "1"}', "1 cells"),
        ('{"puzzle": "sudoku", "box": [2, 2], "grid": "1..4.2......3.9."}', "holds '9'"),
        ('{"puzzle": "sudoku", "box": [2, 2], "grid": "1..4.2......3.1.", "hint": 1}', "'hint'"),
        ('{"puzzle": "sudoku", "box": [3, 3], "rule": "latin", "grid": ""}', "squares of 4 and 6"),
        ('{"puzzle": "sudoku", "box": [2, 2], "rule": "x", "grid": ""}', "one of standard"),
        ('{"puzzle": "sql"}', "no puzzle: known are"),
        ('{"puzzle": "chess"}', "no puzzle called 'chess'"),
    ],
)
def test_a_prompt_that_is_no_problem_is_refused_and_belongs_to_no_question(prompt, told):
    with pytest.raises(ParseError, match=told):
        base.of(prompt)
    assert TASK.group_keys(prompt, {}) == ()
    assert TASK.check("1", with_prompt(prompt, {})).findings[0].code == "no-problem"


def test_without_a_prompt_nothing_is_judged():
    assert TASK.check("1234", {}).findings[0].code == "no-problem"
    with pytest.raises(ParseError, match="prompt is not known"):
        TASK.facts("1234", {})


def test_an_answer_is_not_made_up_where_there_is_none_or_several():
    for grid, told in ((".." * 8, "more than one"), ("11..............", "no solution")):
        prompt = base.ask("sudoku", {"box": [2, 2], "grid": grid})
        with pytest.raises(InputError, match=told):
            base.of(prompt).solve(prompt, {})


@pytest.mark.parametrize("wrong", [("5", "standard", None), ("4", "x", None), ("4", "latin", "x")])
def test_options_of_making_are_checked(wrong):
    with pytest.raises(InputError, match="is one of"):
        next(TASK.generate(*wrong, np.random.default_rng(0)))
