"""How good embeddings are on held-out pairs, and whether they are falling together.

Spearman decides which state is kept; among equal ones the area under the ROC curve. With two
labels only, the first is the second in other clothes (docs/why/how-similarity-is-judged.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from honewheel.tasks import ranking

PROBED = 512  # pairs of random texts whose mean cosine is watched
COLLAPSED = 0.9  # mean cosine of random texts from which hardly anything is told apart

Floats = NDArray[np.floating[Any]]
Measure = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """`spearman` and `auc` of cosines against labels; nan where the labels are all alike."""

    spearman: float
    auc: float
    random: float  # mean cosine of texts drawn at random

    @property
    def loss(self) -> float:
        """What a curve of validation losses shows: 1 - Spearman."""
        return 1.0 - self.spearman

    def better_than(self, other: Score) -> bool:
        """By Spearman, then by AUC; nan is never better."""
        return (self.spearman, self.auc) > (other.spearman, other.auc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best state so far: its update (None is the start), its score, looks since."""

    step: int | None
    score: Score
    stale: int = 0

    def after(self, step: int, score: Score) -> Best:
        """What is best once `score` was seen at update `step`."""
        if score.better_than(self.score):
            return Best(step=step, score=score)
        return replace(self, stale=self.stale + 1)


def spearman(cosines: Floats, labels: Floats) -> float:
    """Rank correlation, ties at their mean rank; nan when either side is constant."""
    return _whole(ranking.spearman, cosines, labels)


def auc(cosines: Floats, labels: Floats) -> float:
    """P(a same pair is closer than a different one), ties count half; nan with one class."""
    return _whole(ranking.auc, cosines, labels)


def _whole(measure: Measure, cosines: Floats, labels: Floats) -> float:
    """A statistic of all pairs, each counted once."""
    if not len(labels):
        return math.nan
    return float(measure(cosines, labels, np.ones((1, len(labels))))[0])


def lowest(scores: Sequence[Score], pairs: int) -> int:
    """The place of the first of `scores` that cannot be told from the best of them.

    Two scores on the same `pairs` can be told apart when their Spearmans differ by more than half
    the standard error of one, 1.03 (1 - rho^2) / sqrt(n - 3) (Fieller et al. 1957); half, because
    on the same pairs much of that error is shared. An undefined score is worse than any other.
    """
    values = [-math.inf if math.isnan(one.spearman) else one.spearman for one in scores]
    best = max(values)
    if best == -math.inf:
        return 0
    noise = 0.5 * 1.03 * (1 - best**2) / math.sqrt(max(pairs - 3, 1))
    return next(at for at, value in enumerate(values) if value >= best - noise)


def probe(texts: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of texts drawn at random, as pairs of different ones; fewer than two: none."""
    if texts < 2:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty
    draw = np.random.default_rng(seed)
    first = draw.integers(0, texts, PROBED)
    return first, (first + draw.integers(1, texts, PROBED)) % texts
