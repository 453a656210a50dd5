"""How well numbers put things in order: ROC-AUC, Spearman, average precision, thresholds.

Each statistic takes the answers [n], what was expected of them [n], and weights [r, n]: one row a
resample, in which an item counts as often as its weight says. So a bootstrap of thousands of
resamples is a handful of sorts and sums. Ties count half, in every one of them. Pure numpy.

With two classes Spearman says nothing that AUC does not: rho = sqrt(3 p (1 - p)) (2 AUC - 1) for a
share p of positives, of which `ceiling` is the first factor (for AUC = 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SAME = 0.5  # expected similarity from which a pair counts as the same, where two classes are asked


def auc(answers: Floats, expected: Floats, weights: Floats) -> Floats:
    """[r] P(a positive is answered higher than a negative), in [0, 1]; nan without both."""
    starts, order = _ties(answers)
    weights, positive = weights[:, order], expected[order] >= SAME
    good = np.add.reduceat(weights * positive, starts, axis=1)
    bad = np.add.reduceat(weights * ~positive, starts, axis=1)
    below = np.cumsum(bad, axis=1) - bad
    return _ratio((good * (below + bad / 2)).sum(axis=1), good.sum(axis=1) * bad.sum(axis=1))


def average_precision(answers: Floats, expected: Floats, weights: Floats) -> Floats:
    """[r] mean precision at each positive, best first, in [0, 1]; nan without a positive."""
    starts, order = _ties(-answers)
    weights, positive = weights[:, order], expected[order] >= SAME
    good = np.add.reduceat(weights * positive, starts, axis=1)
    found = np.cumsum(good, axis=1)
    taken = np.cumsum(np.add.reduceat(weights, starts, axis=1), axis=1)
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    return _ratio((good * precision).sum(axis=1), found[:, -1])


def spearman(answers: Floats, expected: Floats, weights: Floats) -> Floats:
    """[r] correlation of the ranks, in [-1, 1]; nan where either side is constant."""
    total = weights.sum(axis=1, keepdims=True)
    left, right = _ranks(answers, weights), _ranks(expected, weights)
    left -= (weights * left).sum(axis=1, keepdims=True) / total
    right -= (weights * right).sum(axis=1, keepdims=True) / total
    both = (weights * left * right).sum(axis=1)
    spread = (weights * left * left).sum(axis=1) * (weights * right * right).sum(axis=1)
    return _ratio(both, np.sqrt(spread))


def ceiling(positives: float) -> float:
    """The largest Spearman that two classes allow, `positives` in (0, 1) the share of one.

    >>> round(ceiling(0.5), 3)
    0.866
    """
    return math.sqrt(3 * positives * (1 - positives))


def equivalent_auc(rho: float, positives: float) -> float:
    """The AUC that a Spearman `rho` of two classes is; ties among the answers make it approximate.

    >>> round(equivalent_auc(0.504, 0.5), 3)
    0.791
    """
    return min(1.0, max(0.0, (1 + rho / ceiling(positives)) / 2))


def binary(expected: Floats) -> bool:
    """Whether only 0 and 1 were expected: then AUC is the metric, else Spearman."""
    return bool(np.isin(expected, (0.0, 1.0)).all())


def f1(answers: Floats, expected: Floats, threshold: float) -> float:
    """F1 of "the same" where the answer is at least `threshold`, in [0, 1]; 0 without a hit."""
    called, same = answers >= threshold, expected >= SAME
    hits = int((called & same).sum())
    return 2 * hits / (int(called.sum()) + int(same.sum())) if hits else 0.0


def threshold(answers: Floats, expected: Floats) -> float:
    """The threshold of the best F1 on these answers: the middle of the gap where it lies.

    Take it on dev answers, never on those it will judge. Of equal ones it is the highest. Raises
    ValueError without both classes.
    """
    same = expected >= SAME
    if same.all() or not same.any():
        raise ValueError("a threshold needs pairs that are the same and pairs that are not")
    order = np.argsort(-answers, kind="stable")
    values, hits = answers[order], np.cumsum(same[order])
    last = np.append(values[1:] < values[:-1], True)  # of a run of equal answers
    scores = np.where(last, 2 * hits / (np.arange(1, len(values) + 1) + same.sum()), -1.0)
    best = int(np.argmax(scores))
    below = values[best + 1] if best + 1 < len(values) else 0.0
    return float((values[best] + below) / 2)


def _ties(values: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where each run of equal values starts, and the order (ascending) in which they run."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    fresh = np.flatnonzero(np.append(True, ordered[1:] > ordered[:-1]))
    return fresh, order


def _ranks(values: Floats, weights: Floats) -> Floats:
    """[r, n] the middle rank of each item among the items that a resample holds."""
    starts, order = _ties(values)
    sums = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(sums, axis=1) - sums / 2
    place = np.empty(len(values), dtype=np.intp)
    place[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    found: Floats = middle[:, place]
    return found


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """The quotient, nan where there is nothing to divide by."""
    found: Floats = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
    return found


# --- retrieval ----------------------------------------------------------------------------------


def recall_at(ranked: Sequence[Any], k: int) -> float:
    """Mean share of a query's relevant candidates that are among its `k` best, in [0, 1].

    `ranked` holds a row of relevance (0 or 1, best candidate first) for each query.
    """
    found = [sum(row[:k]) / sum(row) for row in ranked if sum(row)]
    return math.fsum(found) / len(found) if found else math.nan


def mrr(ranked: Sequence[Any]) -> float:
    """Mean of 1 / place of the first relevant candidate, in [0, 1]; nan without any query."""
    found = [1 / (list(map(bool, row)).index(True) + 1) for row in ranked if sum(row)]
    return math.fsum(found) / len(found) if found else math.nan


def ndcg(ranked: Sequence[Any], k: int) -> float:
    """Mean normalised discounted gain of the `k` best (Jarvelin & Kekalainen 2002), in [0, 1]."""
    found = [_gain(row[:k]) / _gain(sorted(row, reverse=True)[:k]) for row in ranked if sum(row)]
    return math.fsum(found) / len(found) if found else math.nan


def _gain(row: Any) -> float:
    return math.fsum(float(hit) / math.log2(place + 2) for place, hit in enumerate(row))
