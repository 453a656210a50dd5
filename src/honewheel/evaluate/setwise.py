"""A statistic of a whole set (AUC, Spearman) for champion and challenger, and how sure it is.

Both answered the same items, so every resample of the bootstrap takes the same items for both and
the difference is paired; groups are drawn, not items (see `compare`). A resample is a row of
weights, and a task's statistic takes all rows at once: 2,000 of them over 4,000 items cost a few
seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from honewheel.errors import NotEnoughData
from honewheel.protocols import ScoresSets
from honewheel.records import EvalRow

Floats = npt.NDArray[np.float64]
CELLS = 1 << 20  # weights held at a time, resamples x items
UNDEFINED = 0.05  # share of resamples in which the statistic may be undefined


@dataclass(frozen=True, slots=True)
class Statistic:
    """One set metric of one task."""

    task: ScoresSets
    name: str

    def __call__(self, columns: Mapping[str, Floats], weights: Floats) -> Floats:
        found: Floats = np.asarray(self.task.set_scores(self.name, columns, weights), float)
        return found

    def value(self, rows: Sequence[EvalRow]) -> float:
        """The metric of these rows. Raises NotEnoughData where it is undefined."""
        found = columns(rows)
        if gap := self.task.set_gap(self.name, found):
            raise NotEnoughData(f"{self.name} is undefined: {gap}.")
        return float(self(found, np.ones((1, len(rows))))[0])


@dataclass(frozen=True, slots=True)
class SetStratum:
    """One task's statistic on both sides, and how its difference varies over resamples."""

    items: int
    groups: int
    champion: float
    challenger: float
    drawn: Floats  # [r] differences less the difference

    @property
    def difference(self) -> float:
        """Challenger minus champion, in [-2, 2]."""
        return self.challenger - self.champion

    @property
    def spread(self) -> float:
        """Standard deviation of what one group adds: the error of the difference x sqrt(groups)."""
        return float(self.drawn.std(ddof=1)) * math.sqrt(self.groups) if self.groups > 1 else 0.0

    @property
    def unsure(self) -> bool:
        """Whether nothing is known of the spread although there is something to know."""
        return self.groups < 2 and self.difference != 0

    def deviations(self, random: np.random.Generator, resamples: int) -> Floats:
        """The drawn ones: they were made with this number of resamples and a seed."""
        return self.drawn


def columns(rows: Sequence[EvalRow]) -> dict[str, Floats]:
    """Each metric that all rows have, as an array in the order of the rows."""
    names = set.intersection(*(set(row.metrics) for row in rows)) if rows else set[str]()
    return {name: np.array([row.metrics[name] for row in rows], float) for name in sorted(names)}


def stratum(
    name: str,
    statistic: Statistic,
    ours: Sequence[EvalRow],
    theirs: Sequence[EvalRow],
    *,
    seed: int,
    resamples: int,
) -> SetStratum:
    """Both sides on the same items; `ours` and `theirs` are in the same order of items.

    Raises:
        NotEnoughData: the statistic is undefined on these items, or in too many resamples.
    """
    try:
        challenger, champion = statistic.value(ours), statistic.value(theirs)
    except NotEnoughData as error:
        raise NotEnoughData(f"{name}: {error} Record or import such items.") from error
    places = {group: place for place, group in enumerate(sorted({row.group for row in ours}))}
    of_group = np.array([places[row.group] for row in ours])
    left, right = columns(ours), columns(theirs)
    drawn = np.empty(resamples)
    random = np.random.default_rng(seed)
    step = max(1, CELLS // len(ours))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        counts = random.multinomial(len(places), np.full(len(places), 1 / len(places)), size)
        weights = counts[:, of_group].astype(float)
        drawn[start : start + size] = statistic(left, weights) - statistic(right, weights)
    drawn = _defined(name, statistic.name, drawn) - (challenger - champion)
    stretch = math.sqrt(len(places) / max(1, len(places) - 1))
    return SetStratum(len(ours), len(places), champion, challenger, drawn * stretch)


def _defined(name: str, metric: str, drawn: Floats) -> Floats:
    """Resamples without a value (one class only) take the value of others, if they are few."""
    fine = np.isfinite(drawn)
    if 1 - fine.mean() > UNDEFINED:
        raise NotEnoughData(
            f"{name}: {metric} is undefined in {int((~fine).sum()):,} of {len(drawn):,} resamples: "
            "too few items of one kind. Record or import more of them."
        )
    filled = drawn.copy()
    filled[~fine] = np.resize(drawn[fine], int((~fine).sum()))
    return filled
