"""Mazes: one shortest way, what the oracle finds broken, the square's eight symmetries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from honewheel.errors import InputError, ParseError
from honewheel.tasks.asked import with_prompt
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.maze import Mazes

TASK = Mazes()
SMALL = base.ask("maze", {"grid": ["S.#", "..#", "#.G"]})
WAY = "So#\n.o#\n#oG"


def made(size: str, count: int, level: str | None = None):
    return list(
        itertools.islice(TASK.generate(size, "shortest", level, np.random.default_rng(0)), count)
    )


@pytest.mark.parametrize("size", TASK.sizes)
def test_a_made_maze_has_one_way_which_the_oracle_accepts(size):
    for one in made(size, 3):
        puzzle = base.of(one.prompt)
        assert puzzle.solve(one.prompt, {}) == one.answer
        found = TASK.compare(one.answer, one.answer, with_prompt(one.prompt, {}))
        assert set(found.values()) == {1.0}
        tokens = puzzle.target(one.prompt, {}, one.answer)
        assert puzzle.decode(one.prompt, {}, tokens) == one.answer
        assert puzzle.relations().shape == (3, puzzle.length, puzzle.length)
        assert (
            not puzzle.check(one.prompt, {}, puzzle.baseline(one.prompt, {})).valid
            or "o" not in one.answer
        )


def test_the_eight_forms_of_a_maze_are_one_question():
    (one,) = made("7", 1)
    puzzle = base.of(one.prompt)
    inputs = np.repeat(puzzle.encode(one.prompt, {})[None], 30, 0)
    labels = np.repeat(puzzle.target(one.prompt, {}, one.answer)[None], 30, 0)
    inputs, labels = base.augment(puzzle, inputs, labels, np.random.default_rng(1))
    forms = set()
    for cells, answer in zip(inputs, labels, strict=True):
        prompt = base.ask("maze", {"grid": puzzle.decode("", {}, cells).split()})
        forms.add(prompt)
        assert TASK.group_keys(prompt, {}) == TASK.group_keys(one.prompt, {})
        assert puzzle.decode(prompt, {}, answer) == base.of(prompt).solve(prompt, {})
        told = TASK.lesson_key(prompt, {}, puzzle.decode(prompt, {}, answer))
        assert told == TASK.lesson_key(one.prompt, {}, one.answer)
    assert len(forms) == 8


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("S.#\n.o#\n#oG", "broken-way"),
        ("So.\n.o#\n#oG", "maze-changed"),
        ("oo#\n.o#\n#oG", "maze-changed"),
        ("So#\noo#\n#oG", "not-shortest"),
        ("So#\n.o#\n#o", "syntax"),
        ("So#\n.o#\n#ox", "syntax"),
    ],
)
def test_the_oracle_names_what_is_wrong(output, code):
    found = TASK.check(output, with_prompt(SMALL, {}))
    assert code in {finding.code for finding in found.findings}
    assert not found.valid


def test_another_shortest_way_is_valid_and_not_the_exact_one():
    reference = base.of(SMALL).solve(SMALL, {})
    other = "S.#\noo#\n#oG" if reference == WAY else WAY
    found = TASK.compare(other, reference, with_prompt(SMALL, {}))
    assert (found["valid"], found["exact"]) == (1, 0)
    assert 0 < found["way"] < 1


def test_published_mazes_are_read():
    inputs = np.array([3, 2, 1, 2, 2, 1, 1, 2, 4])
    labels = np.array([3, 5, 1, 2, 5, 1, 1, 5, 4])
    found = TASK.problem(inputs, labels, 6)
    assert (found.prompt, found.answer) == (SMALL, WAY)
    with pytest.raises(ParseError, match="no square maze"):
        TASK.problem(inputs[:8], labels[:8], 6)


def test_levels_are_made_as_asked():
    for level in ("easy", "medium", "hard"):
        assert {one.level for one in made("9", 2, level)} == {level}


def test_what_is_no_maze_is_refused():
    for grid, told in (
        ("S.G", "list of rows"),
        (["S.", ".G"], "no square"),
        (["S..", ".G", "..."], "no square"),
        (["S..", "...", "..."], "one S and one G"),
        (["S..", ".o.", "..G"], "'o' is no cell"),
    ):
        with pytest.raises(ParseError, match=told):
            base.of(base.ask("maze", {"grid": grid}))
    closed = base.ask("maze", {"grid": ["S#.", "##.", "..G"]})
    with pytest.raises(InputError, match="No way leads"):
        base.of(closed).solve(closed, {})
    for wrong in (("6", "shortest", None), ("5", "x", None), ("5", "shortest", "x")):
        with pytest.raises(InputError, match="is one of"):
            next(TASK.generate(*wrong, np.random.default_rng(0)))
