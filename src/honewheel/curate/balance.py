"""Weights of preference rows: mean 1, and neither length nor one label speaking for all."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from statistics import fmean
from typing import TypeVar

from honewheel.curate import reward
from honewheel.records import Pair, Rated, utc

LENGTH_BIAS = 0.2  # largest |correlation| of "chosen" with "longer" that balancing leaves
LEAST = 0.1  # most that balancing takes from a pair: less would leave a handful to speak for all
LABELS = (1.0, 4 / 3)  # desirable over undesirable mass, in which KTO works

Row = TypeVar("Row", Pair, Rated)


def length_bias(found: Sequence[Pair]) -> float:
    """Correlation in [-1, 1] of being chosen with being the longer of the two, by weight.

    Every pair is looked at from both sides, so that swapping chosen and rejected everywhere
    turns the sign. 0 where no two texts differ in length. A model can learn "longer is better"
    in place of what people meant from anything far from 0.
    """
    total = math.fsum(pair.weight for pair in found)
    longer = math.fsum(pair.weight * _longer(pair) for pair in found)
    told = math.fsum(pair.weight for pair in found if _longer(pair))
    return longer / math.sqrt(told * total) if told else 0.0


def lengths(found: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs with lengths balanced, and weights of mean 1, in each split.

    Where |`length_bias`| exceeds 0.2, pairs of the more frequent direction weigh less, down to a
    tenth: a handful of the rarer kind must not outweigh everything else. So a bias above 0.2
    that is left means that fewer than 1 in 15 pairs point the other way; report it.
    """
    factors = {
        split: _factors([one for one in found if one.split == split])
        for split in {pair.split for pair in found}
    }
    return even(
        [replace(pair, weight=pair.weight * factors[pair.split][_longer(pair)]) for pair in found]
    )


def labels(found: Sequence[Rated]) -> tuple[Rated, ...]:
    """The rows with desirable and undesirable ones balanced, and weights of mean 1 a split.

    The training rows' desirable mass is 1 to 4/3 times the undesirable (Ethayarajh et al. 2024,
    "KTO", arXiv 2402.01306, section 4.2: lambda_D n_D / (lambda_U n_U) in [1, 4/3]); the lighter
    label is raised, and validation rows weigh alike. With one label only nothing can be balanced.
    """
    mass = {
        label: math.fsum(
            row.weight for row in found if row.split == "train" and row.desirable is label
        )
        for label in (True, False)
    }
    factors = {True: 1.0, False: 1.0}
    if mass[True] and mass[False]:
        ratio = mass[True] / mass[False]
        low, high = LABELS[0] * 1.001, LABELS[1] * 0.999  # rounded weights stay inside
        factors[True] = max(1.0, low / ratio)
        factors[False] = max(1.0, ratio / high)
    return even([replace(row, weight=row.weight * factors[row.desirable]) for row in found])


def aged(
    found: Sequence[tuple[Row, datetime]], as_of: datetime, half_life_days: float
) -> list[Row]:
    """The rows, each with the weight of its age, shared with the others of its group."""
    siblings = Counter(row.group for row, _ in found)
    return [
        replace(
            row,
            weight=reward.weight(
                (utc(as_of) - at).total_seconds() / 86_400, half_life_days, siblings[row.group] - 1
            ),
        )
        for row, at in found
    ]


def even(found: Sequence[Row]) -> tuple[Row, ...]:
    """The rows with weights of mean 1 in each split, to 6 significant digits."""
    weights: defaultdict[str, list[float]] = defaultdict(list)
    for row in found:
        weights[row.split].append(row.weight)
    return tuple(
        replace(row, weight=float(f"{row.weight / fmean(weights[row.split]):.6g}")) for row in found
    )


def _longer(pair: Pair) -> int:
    """1 when chosen is longer than rejected, -1 when it is shorter, 0 at equal length."""
    return (len(pair.chosen) > len(pair.rejected)) - (len(pair.chosen) < len(pair.rejected))


def _factors(found: Sequence[Pair]) -> dict[int, float]:
    factors = {-1: 1.0, 0: 1.0, 1: 1.0}
    if abs(length_bias(found)) < LENGTH_BIAS:
        return factors
    mass = {side: math.fsum(p.weight for p in found if _longer(p) == side) for side in (-1, 1)}
    common = max(mass, key=lambda side: mass[side])
    if mass[-common]:
        # (f x common - rare) / (f x common + rare) = aim, solved for f; just inside the limit.
        aim = 0.95 * LENGTH_BIAS
        even = mass[-common] / mass[common] * (1 + aim) / (1 - aim)
        factors[common] = min(1.0, max(LEAST, even))
    return factors
