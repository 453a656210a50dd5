"""Sudoku: a square of digits, each once in every row, column and box.

A prompt gives the boxes and the givens, `.` for an empty cell, row by row:
`{"puzzle": "sudoku", "box": [2, 2], "grid": "1..4.2......3.1."}`, with `"rule": "latin"` (boxes do
not count) or `"diagonal"` (both long diagonals count too) where the rule is another. An output is
the solved grid, a row of digits a line; blank space does not count. Valid is what completes the
givens without breaking a unit.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from honewheel.errors import InputError, ParseError
from honewheel.records import Check, Fact, Finding
from honewheel.tasks.facts import judged
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.base import Flags, Problem, PuzzleTask, Tokens
from honewheel.tasks.puzzle.sudoku_orbit import canonical
from honewheel.tasks.puzzle.sudoku_rules import RULES, Rules

EMPTY = "."
BOXES = {"4": (2, 2), "6": (2, 3), "9": (3, 3)}
LATIN_SIDE = 6  # larger squares have too many orders of columns to find the least form

_ENTRIES = ("box", "rule", "grid")
_KIND = "sudoku"
_TRIES = 200  # grids in a row that are not of the wanted level


@dataclass(frozen=True)
class Grid:
    """All problems with one size of box under one rule. Tokens: 0 padding, 1 empty, digit + 1."""

    rules: Rules

    @property
    def name(self) -> str:
        size = f"sudoku-{self.rules.height}x{self.rules.width}"
        return size if self.rules.rule == RULES[0] else f"{size}-{self.rules.rule}"

    @property
    def length(self) -> int:
        return self.rules.side**2

    @property
    def vocabulary(self) -> int:
        return self.rules.side + 2

    def relations(self) -> Flags:
        return self.rules.relations

    def encode(self, prompt: str, context: Mapping[str, str]) -> Tokens:
        return _givens(prompt) + 1

    def target(self, prompt: str, context: Mapping[str, str], output: str) -> Tokens:
        grid = self._read(output)
        if not grid.all():
            raise ParseError(f"{int((grid == 0).sum())} cells are empty; a target has none.")
        return grid + 1

    def decode(self, prompt: str, context: Mapping[str, str], tokens: Tokens) -> str:
        return self._write(np.clip(tokens - 1, 0, self.rules.side))

    def symmetries(self, count: int, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        cells, names = self.rules.symmetries(count, rng)
        same = np.tile(np.arange(2), (count, 1))  # padding and empty keep their token
        return cells, np.concatenate([same, names + 1], axis=1)

    def canonical(self, prompt: str, context: Mapping[str, str], output: str | None = None) -> str:
        answer = None if output is None else self._read(output)
        least = canonical(self.rules, _givens(prompt), answer)
        return f"{self.name} {''.join(EMPTY if not value else str(value) for value in least)}"

    def baseline(self, prompt: str, context: Mapping[str, str]) -> str:
        """The first digit, for every empty cell, that the givens allow there."""
        grid = _givens(prompt).copy()
        for cell in np.flatnonzero(grid == 0):
            taken = {int(grid[peer]) for peer in self.rules.peers[cell]}
            free = [digit for digit in range(1, self.rules.side + 1) if digit not in taken]
            grid[cell] = free[0] if free else 1
        return self._write(grid)

    def check(self, prompt: str, context: Mapping[str, str], output: str) -> Check:
        try:
            grid = self._read(output)
        except ParseError as error:
            return judged([Finding(code="syntax", message=str(error))])
        return judged([*self._changed(_givens(prompt), grid), *self._broken(grid)])

    def facts(self, prompt: str, context: Mapping[str, str], output: str) -> frozenset[Fact]:
        """(cell, digit) of the cells that the prompt leaves empty."""
        grid, givens = self._read(output), _givens(prompt)
        return frozenset(
            (self._place(cell), str(grid[cell]))
            for cell in range(self.length)
            if not givens[cell] or givens[cell] != grid[cell]
        )

    def solve(self, prompt: str, context: Mapping[str, str]) -> str:
        found = self.rules.solutions(_givens(prompt).tolist())
        if len(found) != 1:
            count = "no solution" if not found else "more than one solution"
            raise InputError(f"This {self.name} has {count}; a problem needs exactly one.")
        return self._write(np.array(found[0]))

    def level(self, prompt: str, context: Mapping[str, str]) -> str:
        return self.rules.grade(_givens(prompt).tolist())

    def measures(self, prompt: str, context: Mapping[str, str], output: str) -> Mapping[str, float]:
        """`units`: the share of units (rows, columns, ...) that hold every digit once."""
        try:
            grid = self._read(output)
        except ParseError:
            return {"units": 0.0}
        whole = [len(set(grid[list(unit)].tolist()) - {0}) for unit in self.rules.units]
        return {"units": sum(count == self.rules.side for count in whole) / len(whole)}

    # --- text ----------------------------------------------------------------------------------

    def _read(self, output: str) -> Tokens:
        return _digits("".join(output.split()), self.rules.side)

    def _write(self, grid: Tokens) -> str:
        side = self.rules.side
        text = "".join(str(value) if value else EMPTY for value in grid.tolist())
        return "\n".join(text[at : at + side] for at in range(0, len(text), side))

    def _place(self, cell: int) -> str:
        row, column = divmod(cell, self.rules.side)
        return f"r{row + 1}c{column + 1}"

    # --- the oracle ----------------------------------------------------------------------------

    def _changed(self, givens: Tokens, grid: Tokens) -> Iterator[Finding]:
        for cell in np.flatnonzero((givens > 0) & (givens != grid)).tolist():
            message = f"{self._place(cell)} is given as {givens[cell]}, the output has {grid[cell]}"
            yield Finding(code="given-changed", message=message)

    def _broken(self, grid: Tokens) -> Iterator[Finding]:
        for cell in np.flatnonzero(grid == 0).tolist():
            yield Finding(code="empty-cell", message=f"{self._place(cell)} is empty")
        for name, unit in self.rules.named_units:
            held = grid[list(unit)].tolist()
            for digit in sorted({one for one in held if one and held.count(one) > 1}):
                message = f"{name} has {digit} {held.count(digit)} times"
                yield Finding(code="repeated-digit", message=message)


class Sudoku(PuzzleTask):
    kind = _KIND
    version = "sudoku/1"
    levels = ("easy", "medium", "hard")
    sizes = tuple(BOXES)
    rules = RULES

    def puzzle(self, fields: Mapping[str, Any]) -> Grid:
        base.only(fields, _ENTRIES, _KIND)
        box, grid = fields.get("box"), fields.get("grid")
        if box not in ([2, 2], [2, 3], [3, 2], [3, 3]):
            raise ParseError(f"{_KIND}: box is {box!r}; it is [2, 2], [2, 3], [3, 2] or [3, 3].")
        rules = _rules(box[0], box[1], base.chosen(fields, "rule", RULES, _KIND))
        if rules.rule == "latin" and rules.side > LATIN_SIDE:
            raise ParseError(f"{_KIND}: the latin rule is for squares of 4 and 6.")
        if not isinstance(grid, str):
            raise ParseError(
                f"{_KIND}: grid is {grid!r}; {rules.side**2} digits and dots expected."
            )
        _digits(grid, rules.side)
        return Grid(rules)

    def problem(self, inputs: Tokens, labels: Tokens, vocabulary: int) -> Problem:
        """The published coding is the one used here: 0 padding, 1 empty, digit + 1."""
        side = vocabulary - 2
        if str(side) not in BOXES or len(inputs) != side * side:
            raise ParseError(f"{len(inputs)} cells of {vocabulary} tokens are no known square")
        rules = _rules(*BOXES[str(side)], RULES[0])
        if inputs.min() < 1 or labels.min() < 2:
            raise ParseError("cells are padding, or an answer is empty")
        prompt = _prompt(rules, (inputs - 1).tolist())
        grid = Grid(rules)
        return Problem(
            prompt=prompt, answer=grid.decode(prompt, {}, labels), level=grid.level(prompt, {})
        )

    def generate(
        self, size: str, rule: str, level: str | None, rng: np.random.Generator
    ) -> Iterator[Problem]:
        base.require(size, self.sizes, "The size of a sudoku")
        base.require(rule, self.rules, "The rule of a sudoku")
        rules = _rules(*BOXES[size], rule)
        if rule == "latin" and rules.side > LATIN_SIDE:
            raise InputError("The latin rule is for squares of 4 and 6.")
        if level is not None:
            base.require(level, self.levels, "The level of a sudoku")
        order, missed = random.Random(int(rng.integers(2**62))), 0
        while True:
            givens, answer = _made(rules, level, order)
            found = rules.grade(givens)
            missed = 0 if level in (None, found) else missed + 1
            if missed == _TRIES:
                raise InputError(
                    f"{_TRIES} sudokus of size {size} under the rule {rule} in a row were not "
                    f"{level}; ask for another level."
                )
            if not missed:
                grid = Grid(rules)
                yield Problem(
                    prompt=_prompt(rules, givens), answer=grid._write(np.array(answer)), level=found
                )


@lru_cache(maxsize=32)
def _rules(height: int, width: int, rule: str) -> Rules:
    return Rules(height, width, rule)


def _prompt(rules: Rules, givens: list[int]) -> str:
    entries: dict[str, Any] = {"box": [rules.height, rules.width]}
    if rules.rule != RULES[0]:
        entries["rule"] = rules.rule
    text = "".join(str(value) if value else EMPTY for value in givens)
    return base.ask(_KIND, entries | {"grid": text})


def _made(rules: Rules, level: str | None, order: random.Random) -> tuple[list[int], list[int]]:
    """Givens with one solution, and it: cells go, in random order, while it stays the only one.

    Between the fewest givens and half as many more stay; an easy one keeps what makes it easy.
    """
    answer = list(rules.solutions([0] * rules.side**2, 1, order)[0])
    givens = list(answer)
    cells = list(range(len(givens)))
    order.shuffle(cells)
    keep = order.randint(len(cells) // 4, len(cells) // 2) if level != "hard" else 0
    left = len(cells)
    for cell in cells:
        if left <= keep:
            break
        givens[cell] = 0
        good = rules.grade(givens) == "easy" if level == "easy" else _single(rules, givens)
        if good:
            left -= 1
        else:
            givens[cell] = answer[cell]
    return givens, answer


def _single(rules: Rules, givens: list[int]) -> bool:
    return rules.grade(givens) != "hard" or len(rules.solutions(givens)) == 1


@lru_cache(maxsize=4096)
def _given(prompt: str) -> tuple[int, ...]:
    grid: str = base.fields(prompt)[1]["grid"]
    return tuple(0 if char == EMPTY else int(char) for char in grid)


def _givens(prompt: str) -> Tokens:
    return np.array(_given(prompt), dtype=np.int64)


def _digits(text: str, side: int) -> Tokens:
    """[side^2] digits of a written grid, 0 for a dot. Raises ParseError."""
    if len(text) != side * side:
        raise ParseError(f"The grid has {len(text)} cells; {side} x {side} are {side * side}.")
    allowed = EMPTY + "123456789"[:side]
    if wrong := sorted(set(text) - set(allowed)):
        raise ParseError(f"The grid holds {wrong[0]!r}; a cell is a digit 1 .. {side} or a dot.")
    return np.array([0 if char == EMPTY else int(char) for char in text], dtype=np.int64)
