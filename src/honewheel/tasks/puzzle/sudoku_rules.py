"""A sudoku's geometry under a rule: units, solving, and the symmetries that keep it the same.

Cells are numbered row by row, digits run from 1, 0 is an empty cell. Rules: "standard" (rows,
columns, boxes), "latin" (boxes do not count) and "diagonal" (standard and both long diagonals).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import permutations

import numpy as np

from honewheel.tasks.puzzle.base import Flags, Tokens

RULES = ("standard", "latin", "diagonal")

_FIRST_COUNT = 2  # solutions that are enough to know that there are several


@dataclass(frozen=True)
class Rules:
    """Boxes of `height` x `width` cells, so digits 1 .. height x width, under `rule`."""

    height: int
    width: int
    rule: str = "standard"

    @property
    def side(self) -> int:
        return self.height * self.width

    def box(self, cell: int) -> int:
        row, column = divmod(cell, self.side)
        return row // self.height * self.height + column // self.width

    @cached_property
    def named_units(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Every set of cells that holds each digit once, with its name: "row 1", "box 2"."""
        side, cells = self.side, range(self.side * self.side)
        found = [
            (f"{what} {at + 1}", tuple(cell for cell in cells if where(cell) == at))
            for what, where in (
                ("row", lambda cell: cell // side),
                ("column", lambda cell: cell % side),
                ("box", self.box),
            )
            for at in range(side)
            if what != "box" or self.rule != "latin"
        ]
        if self.rule == "diagonal":
            found.append(("falling diagonal", tuple(at * side + at for at in range(side))))
            found.append(("rising diagonal", tuple((at + 1) * (side - 1) for at in range(side))))
        return tuple(found)

    @cached_property
    def units(self) -> tuple[tuple[int, ...], ...]:
        return tuple(cells for _, cells in self.named_units)

    @cached_property
    def peers(self) -> tuple[tuple[int, ...], ...]:
        """For each cell the others that it shares a unit with."""
        near: list[set[int]] = [set() for _ in range(self.side**2)]
        for unit in self.units:
            for cell in unit:
                near[cell] |= set(unit)
        return tuple(tuple(sorted(found - {cell})) for cell, found in enumerate(near))

    @cached_property
    def relations(self) -> Flags:
        """[3, L, L]: same row, same column, same box; the same for every rule."""
        cells = np.arange(self.side**2)
        boxes = np.array([self.box(int(cell)) for cell in cells])
        places = (cells // self.side, cells % self.side, boxes)
        return np.stack([place[:, None] == place[None, :] for place in places])

    # --- symmetries ----------------------------------------------------------------------------

    @cached_property
    def moves(self) -> Tokens:
        """[S, L]: every rearrangement of cells that keeps the diagonal rule; `grid[moves[s]]`.

        Of the other rules there are too many to list: `symmetries` draws them and the search of
        `sudoku_orbit` builds them row by row.
        """
        columns = {tuple(order) for order in self.orders(transposed=True).tolist()}
        flips = (False, True) if self.flips else (False,)
        found = [
            _cells(row, column, flip)
            for row in self.orders(transposed=False)
            for column in (row, self.side - 1 - row)  # only these keep the falling diagonal one
            if tuple(column.tolist()) in columns and _keeps_diagonals(row, column)
            for flip in flips
        ]
        return np.unique(np.array(found), axis=0)

    @property
    def flips(self) -> bool:
        """Whether rows and columns may change roles."""
        return self.rule == "latin" or self.height == self.width

    def orders(self, *, transposed: bool) -> Tokens:
        """[S, side]: the allowed orders of the rows (or of the columns), bands kept together."""
        return _orders(self.side, self.band(transposed=transposed))

    def band(self, *, transposed: bool) -> int:
        """How many rows (or columns) stay together."""
        if self.rule == "latin":
            return self.side
        return self.width if transposed else self.height

    def symmetries(self, count: int, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """`count` random ones, each as likely as every other: rearranged cells [count, L] and the
        new names of the digits [count, side].
        """
        names = np.argsort(rng.random((count, self.side)), axis=1) + 1
        return self._random_cells(count, rng), names

    def _random_cells(self, count: int, rng: np.random.Generator) -> Tokens:
        if self.rule == "diagonal":
            return self.moves[rng.integers(len(self.moves), size=count)]
        side = self.side
        rows = _random_orders(side, self.band(transposed=False), count, rng)
        columns = _random_orders(side, self.band(transposed=True), count, rng)
        cells = rows[:, :, None] * side + columns[:, None, :]
        if self.flips:
            flipped = rng.random(count) < 0.5
            cells[flipped] = cells[flipped].transpose(0, 2, 1)
        return cells.reshape(count, side * side)

    # --- solving -------------------------------------------------------------------------------

    def solutions(
        self, grid: Sequence[int], most: int = _FIRST_COUNT, order: random.Random | None = None
    ) -> list[tuple[int, ...]]:
        """Up to `most` solutions of a grid, by search on the cell with the fewest candidates.

        `order` shuffles the digits tried; without it the answer is always the same.
        """
        found: list[tuple[int, ...]] = []
        cells = list(grid)
        masks = [self._open(cells, cell) for cell in range(len(cells))]
        if any(value and not masks[cell] >> value & 1 for cell, value in enumerate(cells)):
            return []
        self._search(cells, found, most, order)
        return found

    def _open(self, cells: Sequence[int], cell: int) -> int:
        """Digits, as bits from 1, that no peer of `cell` holds."""
        mask = (1 << self.side + 1) - 2
        for peer in self.peers[cell]:
            mask &= ~(1 << cells[peer])
        return mask

    def _search(
        self,
        cells: list[int],
        found: list[tuple[int, ...]],
        most: int,
        order: random.Random | None,
    ) -> None:
        best, choices = self._narrowest(cells)
        if best < 0:
            found.append(tuple(cells))
            return
        if order is not None:
            order.shuffle(choices)
        for value in choices:
            cells[best] = value
            self._search(cells, found, most, order)
            if len(found) >= most:
                break
        cells[best] = 0

    def _narrowest(self, cells: Sequence[int]) -> tuple[int, list[int]]:
        """The empty cell with the fewest candidates, or the digit that fits one cell of a unit;
        (-1, []) when nothing is empty.
        """
        masks = {cell: self._open(cells, cell) for cell, value in enumerate(cells) if not value}
        if not masks:
            return -1, []
        best = min(masks, key=lambda cell: masks[cell].bit_count())
        if masks[best].bit_count() > 1 and (hidden := self._hidden(cells, masks)):
            return hidden[0], [hidden[1]]
        return best, _digits(masks[best])

    def _hidden(self, cells: Sequence[int], masks: dict[int, int]) -> tuple[int, int] | None:
        """A cell and the digit that no other empty cell of one of its units can hold."""
        for unit in self.units:
            once = twice = 0
            for cell in unit:
                if not cells[cell]:
                    twice |= once & masks[cell]
                    once |= masks[cell]
            if single := once & ~twice:
                value = _digits(single)[0]
                return next(c for c in unit if not cells[c] and masks[c] >> value & 1), value
        return None

    def grade(self, grid: Sequence[int]) -> str:
        """How a person solves it: "easy" (a cell with one candidate is always there), "medium"
        (sometimes a digit with one place in a unit is needed) or "hard" (neither is enough).
        """
        cells, level = list(grid), "easy"
        while True:
            masks = {cell: self._open(cells, cell) for cell, value in enumerate(cells) if not value}
            if not masks:
                return level
            best = min(masks, key=lambda cell: masks[cell].bit_count())
            if masks[best].bit_count() == 1:
                cells[best] = _digits(masks[best])[0]
            elif masks[best] and (hidden := self._hidden(cells, masks)):
                level = "medium"
                cells[hidden[0]] = hidden[1]
            else:
                return "hard"


def _digits(mask: int) -> list[int]:
    return [value for value in range(1, mask.bit_length()) if mask >> value & 1]


@lru_cache(maxsize=64)
def _orders(side: int, band: int) -> Tokens:
    """[S, side]: permutations of `side` lines that keep bands of `band` lines together."""
    inner = _permutations(band)
    found = []
    for outer in _permutations(side // band):
        rows = [np.zeros((1, 0), dtype=np.int64)]
        for place in outer:
            rows = [
                np.concatenate([row, (inner[k] + place * band)[None]], axis=1)
                for row in rows
                for k in range(len(inner))
            ]
        found += rows
    return np.concatenate(found)


@lru_cache(maxsize=16)
def _permutations(count: int) -> Tokens:
    return np.array(list(permutations(range(count))), dtype=np.int64)


def _random_orders(side: int, band: int, count: int, rng: np.random.Generator) -> Tokens:
    outer = np.argsort(rng.random((count, side // band)), axis=1)
    inner = np.argsort(rng.random((count, side // band, band)), axis=2)
    return (outer[:, :, None] * band + inner).reshape(count, side)


def _cells(rows: Tokens, columns: Tokens, flip: bool) -> Tokens:
    cells = rows[:, None] * len(columns) + columns[None, :]
    return (cells.T if flip else cells).reshape(-1)


def _keeps_diagonals(rows: Tokens, columns: Tokens) -> bool:
    """Whether the two long diagonals, as a pair, go onto themselves."""
    side = len(rows)
    falling = {int(row) * side + int(column) for row, column in zip(rows, columns, strict=True)}
    rising = {
        int(row) * side + int(column) for row, column in zip(rows, columns[::-1], strict=True)
    }
    ours = {at * (side + 1) for at in range(side)}
    theirs = {(at + 1) * (side - 1) for at in range(side)}
    return {frozenset(falling), frozenset(rising)} == {frozenset(ours), frozenset(theirs)}
