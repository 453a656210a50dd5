"""Which rows an update sees, and in which of their equivalent forms.

A weight is a probability, not a factor of the loss: a row of weight 2 is shown twice as often. All
chance of a run comes from one generator, whose state a checkpoint holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from honewheel.families.reasoner.rows import Flags, Ints, Rows
from honewheel.tasks.puzzle import base


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows to learn from: inputs, labels [n, L], kind [n]."""

    inputs: Ints
    labels: Ints
    kind: Ints


class Draw:
    """Rows drawn with replacement, a fixed share of them from what is replayed."""

    def __init__(
        self, rows: Rows, rng: np.random.Generator, *, replay: float, augment: bool
    ) -> None:
        """`replay` in [0, 1): share of replayed rows; 0: as their weights make it."""
        self.rows, self.rng = rows, rng
        self.replay, self.augment = replay, augment
        self._opened = -1  # rows that were open when the sums below were made
        self._sums: dict[bool | None, tuple[Ints, np.ndarray]] = {}

    def take(self, count: int, done: float) -> Drawn:
        """`count` rows at the share `done` of the training in [0, 1)."""
        self._open(done)
        if None in self._sums:
            chosen = self._pick(None, count)
        else:
            old = self.rng.random(count) < self.replay
            chosen = np.empty(count, dtype=np.int64)
            for group in (False, True):
                at = old == group
                chosen[at] = self._pick(group, int(at.sum()))
        inputs, labels = self.rows.inputs[chosen], self.rows.labels[chosen]
        kind = self.rows.kind[chosen]
        if self.augment:
            self._vary(inputs, labels, kind)
        return Drawn(inputs, labels, kind)

    def _open(self, done: float) -> None:
        """Sum up the weights of the rows whose time has come; the first ones if none has."""
        waits = self.rows.since > max(done, float(self.rows.since.min()))
        opened = int((~waits).sum())
        if opened == self._opened:
            return
        self._opened = opened
        groups = [~waits & ~self.rows.replayed, ~waits & self.rows.replayed]
        if self.replay and all(group.any() for group in groups):
            self._sums = {bool(old): self._sum(group) for old, group in enumerate(groups)}
        else:
            self._sums = {None: self._sum(~waits)}

    def _sum(self, group: Flags) -> tuple[Ints, np.ndarray]:
        places = np.flatnonzero(group)
        return places, np.cumsum(self.rows.weight[places])

    def _pick(self, group: bool | None, count: int) -> Ints:
        places, sums = self._sums[group]
        points = self.rng.random(count) * sums[-1]
        found: Ints = places[np.searchsorted(sums, points, side="right").clip(max=len(places) - 1)]
        return found

    def _vary(self, inputs: Ints, labels: Ints, kind: Ints) -> None:
        """Put each row in a random equivalent form, in place."""
        for place in np.unique(kind):
            at = np.flatnonzero(kind == place)
            puzzle = self.rows.kinds[place].puzzle
            cells = slice(0, puzzle.length)
            found = base.augment(puzzle, inputs[at, cells], labels[at, cells], self.rng)
            inputs[at, cells], labels[at, cells] = found
