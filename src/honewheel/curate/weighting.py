"""Sampling mass at build time: age, copies and whatever factors are on, balanced over tasks.

Weights belong to a build, not to an event: tomorrow they are others. Each factor answers for one
number a row and knows nothing of the rest; here they are multiplied, scaled to mean 1 within each
task, and last the tasks are given their shares.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from honewheel.curate import reward
from honewheel.curate.rows import Row
from honewheel.errors import InputError
from honewheel.records import utc

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """One factor above 0 for each row, in the rows' order; all 1 when `refused` says why."""

    values: tuple[float, ...]
    refused: str | None = None


def weights(
    rows: Sequence[Row],
    *,
    as_of: datetime,
    half_life_days: float,
    task_balance: float = 1.0,
    factors: Iterable[Factors] = (),
) -> tuple[float, ...]:
    """Weights above 0 with mean 1 over all rows, to 6 significant digits so that hashes travel.

    2^(-age / half life) / (1 + copies in the group) times the factors, then mean 1 in each task,
    then `balance`.
    """
    siblings = Counter(row.example.group for row in rows)
    raw = [
        reward.weight(age_days(row, as_of), half_life_days, siblings[row.example.group] - 1)
        for row in rows
    ]
    for factor in factors:
        raw = [one * more for one, more in zip(raw, factor.values, strict=True)]
    mean = _means(rows, raw)
    shares = balance(rows, task_balance)
    return tuple(
        float(f"{one / mean[row.example.task] * shares[row.example.task]:.6g}")
        for row, one in zip(rows, raw, strict=True)
    )


def age_days(row: Row, as_of: datetime) -> float:
    """Days from when the target was written to `as_of`; below 0 when it lies in the future."""
    return (utc(as_of) - row.at).total_seconds() / 86_400


def balance(rows: Sequence[Row], power: float) -> dict[str, float]:
    """Task -> factor that makes the mass of task k proportional to n_k^power; their mean is 1.

    1 leaves tasks as they come, 0 makes them equal, 0.5 is the usual temperature of multi-task
    mixtures. Raises InputError outside 0 .. 1.
    """
    if not 0 <= power <= 1:
        raise InputError(f"A task balance of {power:g} is outside 0 .. 1.")
    count = Counter(row.example.task for row in rows)
    scale = count.total() / math.fsum(n**power for n in count.values()) if count else 1.0
    return {task: scale * n ** (power - 1) for task, n in sorted(count.items())}


def ess(weights: Iterable[float]) -> float:
    """Effective sample size (sum w)^2 / sum w^2 (Kish 1965): n for equal weights, 0 for none.

    >>> ess([1, 1, 1, 1]), ess([1, 0, 0, 0])
    (4.0, 1.0)
    """
    found = list(weights)
    top = max(found, default=0.0)  # scaled by it, so that squares of tiny weights do not vanish
    if top <= 0:
        return 0.0
    return math.fsum(w / top for w in found) ** 2 / math.fsum((w / top) ** 2 for w in found)


def _means(rows: Sequence[Row], raw: Sequence[float]) -> Mapping[str, float]:
    by_task: dict[str, list[float]] = {}
    for row, one in zip(rows, raw, strict=True):
        by_task.setdefault(row.example.task, []).append(one)
    return {task: math.fsum(found) / len(found) for task, found in by_task.items()}
