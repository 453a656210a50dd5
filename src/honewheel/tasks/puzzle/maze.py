"""Mazes: the shortest way from S to G.

A prompt is a square, row by row: `{"puzzle": "maze", "grid": ["S.#", "..#", "#.G"]}`, `#` a wall
and `.` open. An output is the same square, a row a line, with `o` on every cell of the way. Valid
is an unbroken way that is as short as any. Mazes made here have one way only; where one has several
shortest ones, each is valid, and the canonical one is that which a breadth-first search (down,
right, up, left) finds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from honewheel.errors import InputError, ParseError
from honewheel.records import Check, Fact, Finding
from honewheel.tasks.facts import judged
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.base import Flags, Problem, PuzzleTask, Tokens

OPEN, WALL, START, GOAL, WAY = ".", "#", "S", "G", "o"
LEAST_SIDE, MOST_SIDE = 3, 40

_KIND = "maze"
_CELLS = f" {OPEN}{WALL}{START}{GOAL}{WAY}"  # a cell's token is its place; 0 is padding
_PUBLISHED = (0, 2, 1, 3, 4, 5)  # their tokens ("# SGo" from 1) in ours
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


@dataclass(frozen=True)
class Maze:
    """All mazes with one side. Tokens: 0 padding, 1 open, 2 wall, 3 S, 4 G, 5 way."""

    side: int

    @property
    def name(self) -> str:
        return f"{_KIND}-{self.side}"

    @property
    def length(self) -> int:
        return self.side**2

    @property
    def vocabulary(self) -> int:
        return len(_CELLS)

    def relations(self) -> Flags:
        """Neighbour; same row; same column."""
        row, column = np.divmod(np.arange(self.length), self.side)
        down = np.abs(row[:, None] - row[None, :])
        across = np.abs(column[:, None] - column[None, :])
        return np.stack([down + across == 1, down == 0, across == 0])

    def encode(self, prompt: str, context: Mapping[str, str]) -> Tokens:
        return _tokens(_grid(prompt))

    def target(self, prompt: str, context: Mapping[str, str], output: str) -> Tokens:
        return _tokens(self._read(output))

    def decode(self, prompt: str, context: Mapping[str, str], tokens: Tokens) -> str:
        text = "".join(_CELLS[token] if 0 < token < len(_CELLS) else OPEN for token in tokens)
        return self._write(text)

    def symmetries(self, count: int, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        moves = _moves(self.side)
        _, tokens = base.still(count, self.length, self.vocabulary)
        return moves[rng.integers(len(moves), size=count)], tokens

    def canonical(self, prompt: str, context: Mapping[str, str], output: str | None = None) -> str:
        moves = _moves(self.side)
        rows = _tokens(_grid(prompt))[moves]
        if output is not None:
            rows = np.concatenate([rows, _tokens(self._read(output))[moves]], axis=1)
        least = min(map(tuple, rows.tolist()))
        return f"{self.name} {''.join(_CELLS[token] for token in least)}"

    def baseline(self, prompt: str, context: Mapping[str, str]) -> str:
        """The maze as it is, without a way."""
        return self._write(_grid(prompt))

    def check(self, prompt: str, context: Mapping[str, str], output: str) -> Check:
        try:
            drawn = self._read(output)
        except ParseError as error:
            return judged([Finding(code="syntax", message=str(error))])
        return judged([*self._violations(_grid(prompt), drawn)])

    def facts(self, prompt: str, context: Mapping[str, str], output: str) -> frozenset[Fact]:
        """The cells of the way, and those that are not the maze's."""
        drawn, grid = self._read(output), _grid(prompt)
        cells = zip(grid, drawn, strict=True)
        return frozenset(
            (self._place(at), after) for at, (before, after) in enumerate(cells) if after != before
        )

    def solve(self, prompt: str, context: Mapping[str, str]) -> str:
        grid = _grid(prompt)
        found = _shortest(grid, self.side)
        if found is None:
            raise InputError(f"No way leads from {START} to {GOAL} in this {self.name}.")
        return self._write(_draw(grid, found))

    def level(self, prompt: str, context: Mapping[str, str]) -> str:
        """By the length of the way: at most the side, at most twice as long, longer."""
        steps = len(_shortest(_grid(prompt), self.side) or ())
        return Mazes.levels[(steps > self.side) + (steps > 2 * self.side)]

    def measures(self, prompt: str, context: Mapping[str, str], output: str) -> Mapping[str, float]:
        """`way`: the share of the canonical way's cells that are drawn."""
        found = _shortest(_grid(prompt), self.side) or ()
        try:
            drawn = self._read(output)
        except ParseError:
            return {"way": 0.0}
        return {"way": sum(drawn[at] == WAY for at in found) / len(found) if found else 1.0}

    def _violations(self, grid: str, drawn: str) -> Iterator[Finding]:
        for at, (before, after) in enumerate(zip(grid, drawn, strict=True)):
            if before != after and (before, after) != (OPEN, WAY):
                message = f"{self._place(at)} is {before!r} in the maze and {after!r} in the output"
                yield Finding(code="maze-changed", message=message)
        way = {at for at, cell in enumerate(drawn) if cell == WAY}
        best = _shortest(grid, self.side)
        walked = _shortest(
            "".join(
                cell if cell in START + GOAL else OPEN if at in way else WALL
                for at, cell in enumerate(grid)
            ),
            self.side,
        )
        if walked is None:
            message = f"the way from {START} to {GOAL} is broken"
            yield Finding(code="broken-way", message=message)
        elif best is not None and len(way) > len(best):
            message = f"the way has {len(way)} cells between its ends; {len(best)} are enough"
            yield Finding(code="not-shortest", message=message)

    def _read(self, output: str) -> str:
        text = "".join(output.split())
        if len(text) != self.length:
            raise ParseError(f"{len(text)} cells; {self.side} x {self.side} are {self.length}.")
        if wrong := sorted(set(text) - set(_CELLS.strip())):
            raise ParseError(f"{wrong[0]!r} is no cell of a maze; cells are {_CELLS.strip()}.")
        return text

    def _write(self, text: str) -> str:
        return "\n".join(text[at : at + self.side] for at in range(0, len(text), self.side))

    def _place(self, at: int) -> str:
        row, column = divmod(at, self.side)
        return f"r{row + 1}c{column + 1}"


class Mazes(PuzzleTask):
    kind = _KIND
    version = "maze/1"
    levels = ("easy", "medium", "hard")
    sizes = ("5", "7", "9", "15")  # sides
    rules = ("shortest",)

    def puzzle(self, fields: Mapping[str, Any]) -> Maze:
        base.only(fields, ("grid",), _KIND)
        grid = fields.get("grid")
        if not isinstance(grid, list) or not all(isinstance(row, str) for row in grid):
            raise ParseError(f"{_KIND}: grid is {grid!r:.40}; a list of rows is expected.")
        side = len(grid)
        if not LEAST_SIDE <= side <= MOST_SIDE or any(len(row) != side for row in grid):
            raise ParseError(
                f"{_KIND}: the grid is no square of {LEAST_SIDE} .. {MOST_SIDE} rows and columns."
            )
        text = "".join(grid)
        if wrong := sorted(set(text) - set(OPEN + WALL + START + GOAL)):
            raise ParseError(f"{_KIND}: {wrong[0]!r} is no cell; cells are . # S G.")
        if text.count(START) != 1 or text.count(GOAL) != 1:
            raise ParseError(f"{_KIND}: one {START} and one {GOAL} are expected.")
        return Maze(side)

    def problem(self, inputs: Tokens, labels: Tokens, vocabulary: int) -> Problem:
        """The published coding of mazes: 1 wall, 2 open, 3 S, 4 G, 5 way."""
        side = int(len(inputs) ** 0.5)
        if vocabulary != len(_PUBLISHED) or side * side != len(inputs) or inputs.min() < 1:
            raise ParseError(f"{len(inputs)} cells of {vocabulary} tokens are no square maze")
        ours = np.array(_PUBLISHED)
        maze = Maze(side)
        text = maze.decode("", {}, ours[inputs])
        prompt = _ask(text.split())
        base.of(prompt)
        answer = maze.decode(prompt, {}, ours[np.maximum(labels, 0)])
        return Problem(prompt=prompt, answer=answer, level=maze.level(prompt, {}))

    def generate(
        self, size: str, rule: str, level: str | None, rng: np.random.Generator
    ) -> Iterator[Problem]:
        base.require(size, self.sizes, "The size of a maze")
        base.require(rule, self.rules, "The rule of a maze")
        if level is not None:
            base.require(level, self.levels, "The level of a maze")
        maze = Maze(int(size))
        while True:
            prompt = _ask(_carved(maze.side, rng))
            found = maze.level(prompt, {})
            if level in (None, found):
                yield Problem(prompt=prompt, answer=maze.solve(prompt, {}), level=found)


def _ask(rows: Sequence[str]) -> str:
    return base.ask(_KIND, {"grid": list(rows)})


@lru_cache(maxsize=4096)
def _grid(prompt: str) -> str:
    return "".join(base.fields(prompt)[1]["grid"])


def _tokens(text: str) -> Tokens:
    return np.array([_CELLS.index(cell) for cell in text], dtype=np.int64)


@lru_cache(maxsize=32)
def _moves(side: int) -> Tokens:
    """[8, L]: the square's turns and reflections."""
    cells = np.arange(side * side).reshape(side, side)
    turns = [np.rot90(cells, turn) for turn in range(4)]
    return np.stack([one.reshape(-1) for turn in turns for one in (turn, turn.T)])


@lru_cache(maxsize=4096)
def _shortest(grid: str, side: int) -> tuple[int, ...] | None:
    """The cells between S and G on a shortest way; None where there is none."""
    start, goal = grid.index(START), grid.index(GOAL)
    come: dict[int, int] = {start: start}
    waiting = deque([start])
    while waiting and goal not in come:
        at = waiting.popleft()
        for cell in _near(at, side):
            if cell not in come and grid[cell] != WALL:
                come[cell] = at
                waiting.append(cell)
    if goal not in come:
        return None
    way, at = [], come[goal]
    while at != start:
        way.append(at)
        at = come[at]
    return tuple(reversed(way))


def _near(at: int, side: int) -> Iterator[int]:
    row, column = divmod(at, side)
    for down, right in _STEPS:
        if 0 <= row + down < side and 0 <= column + right < side:
            yield (row + down) * side + column + right


def _draw(grid: str, way: Sequence[int]) -> str:
    return "".join(WAY if at in set(way) else cell for at, cell in enumerate(grid))


def _carved(side: int, rng: np.random.Generator) -> list[str]:
    """A maze without loops: rooms on even cells, walls between them opened by a random walk that
    turns back where it is stuck; start and goal are two of its rooms.
    """
    cells = np.full((side, side), WALL)
    rooms = [(row, column) for row in range(0, side, 2) for column in range(0, side, 2)]
    trail = [rooms[int(rng.integers(len(rooms)))]]
    cells[trail[0]] = OPEN
    while trail:
        row, column = trail[-1]
        fresh = [
            (row + 2 * down, column + 2 * right)
            for down, right in _STEPS
            if 0 <= row + 2 * down < side
            and 0 <= column + 2 * right < side
            and cells[row + 2 * down, column + 2 * right] == WALL
        ]
        if not fresh:
            trail.pop()
            continue
        there = fresh[int(rng.integers(len(fresh)))]
        cells[there] = OPEN
        cells[(row + there[0]) // 2, (column + there[1]) // 2] = OPEN
        trail.append(there)
    start, goal = rng.choice(len(rooms), size=2, replace=False)
    cells[rooms[int(start)]], cells[rooms[int(goal)]] = START, GOAL
    return ["".join(row) for row in cells.tolist()]
