"""Covering arrays: few rows of levels that hold every pair of levels that may meet.

A row gives each parameter one of its levels, both counted from 0. `Model.greedy` builds the array
a row at a time: of all allowed rows the one that covers most new pairs, the first in order of
levels among equals (after Cohen et al. 1997, "The AETG system", with the choice made
deterministic). Pure; small models only, since every allowed row is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeAlias

from honewheel.errors import ParseError

Row: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int, int, int]  # parameter, level, later parameter, level


@dataclass(frozen=True)
class Model:
    """Parameters with their numbers of levels, and the pairs that never meet."""

    levels: Row
    never: frozenset[Pair]

    def allows(self, row: Sequence[int]) -> bool:
        """Whether a row meets no forbidden pair."""
        return not (self.never and self.never & pairs(row))

    def fits(self, row: Sequence[int]) -> bool:
        """Whether a row has a level of every parameter and meets no forbidden pair."""
        right = len(row) == len(self.levels)
        return right and all(map(int.__lt__, row, self.levels)) and self.allows(row)

    def rows(self) -> tuple[Row, ...]:
        """Every allowed row, in order of levels."""
        every = product(*(range(count) for count in self.levels))
        return tuple(row for row in every if self.allows(row))

    def goals(self) -> frozenset[Pair]:
        """The pairs that some allowed row has: what can be covered."""
        return frozenset().union(*map(pairs, self.rows()))

    @property
    def fewest(self) -> int:
        """A lower bound of the rows of any covering array: the most goals of two parameters."""
        goals = self.goals()
        if not goals:
            return 0
        sizes: dict[tuple[int, int], int] = {}
        for one, _, two, _ in goals:
            sizes[one, two] = sizes.get((one, two), 0) + 1
        return max(sizes.values())

    def greedy(self, given: Sequence[Row]) -> tuple[Row, ...]:
        """The given rows and, behind them, the best row again and again until all is covered."""
        rows, allowed = list(given), [(row, pairs(row)) for row in self.rows()]
        open_ = set(self.goals())
        for row in rows:
            open_ -= pairs(row)
        while open_:
            best = max(allowed, key=lambda one: len(one[1] & open_))  # the first among equals
            rows.append(best[0])
            open_ -= best[1]
        return tuple(rows)


def pairs(row: Sequence[int]) -> frozenset[Pair]:
    """The n (n - 1) / 2 pairs that a row of n levels holds."""
    return frozenset(
        (one, row[one], two, row[two]) for one, two in combinations(range(len(row)), 2)
    )


def write(rows: Sequence[Row]) -> str:
    """The array as text."""
    return "\n".join(" ".join(map(str, row)) for row in rows)


def read(output: str) -> tuple[Row, ...]:
    """The rows of an array as written. Raises ParseError naming the first line that is none."""
    rows = []
    for number, line in enumerate(output.strip().splitlines(), start=1):
        cells = line.split()
        if not cells or not all(
            cell.isascii() and cell.isdigit() and len(cell) < 4 for cell in cells
        ):
            raise ParseError(f"line {number} is {line[:40]!r}; a row is numbers and blanks")
        rows.append(tuple(int(cell) for cell in cells))
    return tuple(rows)
