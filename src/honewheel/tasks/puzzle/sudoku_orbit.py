"""The canonical form of a grid: the least of all its symmetric, renamed forms.

Forms are compared cell by cell, row by row, digits renamed in the order of their first
appearance (an empty cell is 0, before all digits). A 9 x 9 grid has 3,359,232 rearrangements, so
they are built a row at a time and only those that are least so far go on; the result is the same
as that of trying all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from honewheel.tasks.puzzle.base import Tokens
from honewheel.tasks.puzzle.sudoku_rules import Rules


@dataclass(frozen=True)
class _Forms:
    """S partial forms. `order` [S, rows so far] are the source rows; `names` [S, side + 1] what
    digits are called, 0 for those not yet met; `met` [S] how many have a name.
    """

    flip: Tokens  # [S], 0 or 1
    columns: Tokens  # [S, side]
    order: Tokens
    names: Tokens
    met: Tokens

    def take(self, kept: Tokens) -> _Forms:
        return _Forms(
            self.flip[kept], self.columns[kept], self.order[kept], self.names[kept], self.met[kept]
        )


def canonical(rules: Rules, grid: Tokens, answer: Tokens | None = None) -> tuple[int, ...]:
    """The least form of `grid` [L], digits with 0 for empty; `answer` [L] takes part after it."""
    if rules.rule == "diagonal":
        return _by_list(rules, grid, answer)
    side = rules.side
    turned = np.stack([grid.reshape(side, side), grid.reshape(side, side).T])
    forms = _start(rules)
    found: list[int] = []
    for row in range(side):
        forms = _extend(rules, forms, row)
        values = turned[forms.flip[:, None], forms.order[:, -1:], forms.columns]
        forms, least = _least(forms, values)
        found += least
    if answer is not None:
        turned = np.stack([answer.reshape(side, side), answer.reshape(side, side).T])
        for row in range(side):
            values = turned[forms.flip[:, None], forms.order[:, row : row + 1], forms.columns]
            forms, least = _least(forms, values)
            found += least
    return tuple(found)


def _by_list(rules: Rules, grid: Tokens, answer: Tokens | None) -> tuple[int, ...]:
    whole = [grid[rules.moves]] if answer is None else [grid[rules.moves], answer[rules.moves]]
    values = np.concatenate(whole, axis=1)
    count, side = len(values), rules.side
    forms = _Forms(
        flip=np.zeros(count, dtype=np.int64),
        columns=np.zeros((count, 0), dtype=np.int64),
        order=np.zeros((count, 0), dtype=np.int64),
        names=np.zeros((count, side + 1), dtype=np.int64),
        met=np.zeros(count, dtype=np.int64),
    )
    return tuple(_least(forms, values)[1])


def _start(rules: Rules) -> _Forms:
    """Every order of columns, straight and, where the rule allows, with rows as columns."""
    columns = rules.orders(transposed=True)
    flips = (0, 1) if rules.flips else (0,)
    count = len(columns) * len(flips)
    return _Forms(
        flip=np.repeat(np.array(flips, dtype=np.int64), len(columns)),
        columns=np.concatenate([columns] * len(flips)),
        order=np.zeros((count, 0), dtype=np.int64),
        names=np.zeros((count, rules.side + 1), dtype=np.int64),
        met=np.zeros(count, dtype=np.int64),
    )


def _extend(rules: Rules, forms: _Forms, row: int) -> _Forms:
    """Each form with every source row that may come next."""
    side = rules.side
    band = rules.band(transposed=False)
    source = np.arange(side)
    free = np.ones((len(forms.met), side), dtype=bool)
    np.put_along_axis(free, forms.order, False, axis=1)
    if row % band:  # within a band, the row comes from the band begun
        free &= source[None, :] // band == forms.order[:, -1:] // band
    else:
        begun = np.zeros((len(forms.met), side // band), dtype=bool)
        np.put_along_axis(begun, forms.order // band, True, axis=1)
        free &= ~begun[:, source // band]
    which, rows = np.nonzero(free)
    longer = forms.take(which)
    order = np.concatenate([longer.order, rows[:, None]], axis=1)
    return _Forms(longer.flip, longer.columns, order, longer.names, longer.met)


def _least(forms: _Forms, values: Tokens) -> tuple[_Forms, list[int]]:
    """The forms whose renamed `values` [S, n] are least, and these values; cell after cell."""
    least = []
    for cell in range(values.shape[1]):
        value = values[:, cell]
        at = np.arange(len(value))
        named = forms.names[at, value]
        fresh = (named == 0) & (value > 0)
        met = forms.met + fresh
        named = np.where(fresh, met, named)
        lowest = int(named.min())
        kept = np.flatnonzero(named == lowest)
        names = forms.names.copy() if len(kept) == len(at) else forms.names
        forms = _Forms(forms.flip, forms.columns, forms.order, names, met).take(kept)
        forms.names[np.arange(len(kept)), value[kept]] = named[kept]
        values = values[kept]
        least.append(lowest)
    return forms, least
