"""What one technique is worth: paired differences of models trained with and without it.

Every pair of trainings shares its seed and answers the same held-out items. Two things make the
mean difference uncertain: which items were held out (clustered by group) and how each training
happened to go (the seeds). Their variances add, and the interval is Student's t with the degrees
of freedom of Satterthwaite (1946), "An approximate distribution of estimates of variance
components".
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from honewheel.errors import InputError, NotEnoughData
from honewheel.records import EvalRow

VERSION = 1

Floats = npt.NDArray[np.float64]
Answer = Literal["helps", "no measurable effect", "hurts"]
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Mean score with a technique minus that without it, in [-1, 1], with its 95 % interval."""

    name: str  # of the technique, or of a task under it
    metric: str
    with_it: float
    without: float
    difference: float
    low: float
    high: float
    seeds: int
    items: int
    groups: int

    @property
    def answer(self) -> Answer:
        """Whether the interval lies above 0, below it, or holds it."""
        if self.low > 0:
            return "helps"
        return "hurts" if self.high < 0 else "no measurable effect"


def effect(
    name: str,
    with_it: Sequence[Sequence[EvalRow]],
    without: Sequence[Sequence[EvalRow]],
    *,
    metric: str = "score",
) -> Effect:
    """The effect over all tasks in the rows, each task counting alike.

    `with_it` and `without` hold one sequence of rows a seed, in the same order of seeds. With one
    seed the interval knows nothing of how trainings vary, only of the items.

    Raises:
        NotEnoughData: no seed, no row, or a single group, from which no interval follows.
        InputError: the two sides have different numbers of seeds or answered different items.
    """
    if len(with_it) != len(without):
        raise InputError(
            f"{name}: {len(with_it)} trainings with it and {len(without)} without; each seed "
            "needs both."
        )
    tables = [_differences(name, metric, a, b) for a, b in zip(with_it, without, strict=True)]
    if not tables or not tables[0]:
        raise NotEnoughData(f"{name} has no held-out items, so nothing can be compared.")
    tasks = sorted(tables[0])
    by_seed = np.array([np.mean([table[task].mean() for task in tasks]) for table in tables])
    middle = {task: np.mean([table[task] for table in tables], axis=0) for task in tasks}
    groups = sum(len(middle[task]) for task in tasks)
    if groups <= len(tasks):
        raise NotEnoughData(f"{name}: {groups} independent items give no interval.")
    items = math.fsum(_variance(middle[task]) for task in tasks) / len(tasks) ** 2
    trainings = _variance(by_seed)
    difference = float(by_seed.mean())
    half = _half_width(items, groups - len(tasks), trainings, len(by_seed) - 1)
    return Effect(
        name=name,
        metric=metric,
        with_it=_mean(with_it, metric),
        without=_mean(without, metric),
        difference=difference,
        low=max(-1.0, difference - half),
        high=min(1.0, difference + half),
        seeds=len(by_seed),
        items=len(with_it[0]),
        groups=groups,
    )


def by_task(rows: Sequence[EvalRow]) -> dict[str, list[EvalRow]]:
    """Rows of each task, tasks in alphabetical order."""
    found: defaultdict[str, list[EvalRow]] = defaultdict(list)
    for row in rows:
        found[row.task].append(row)
    return {task: found[task] for task in sorted(found)}


def _differences(
    name: str, metric: str, with_it: Sequence[EvalRow], without: Sequence[EvalRow]
) -> dict[str, Floats]:
    """Task -> mean difference of each group, groups in the order of their names."""
    left, right = _by_item(with_it, metric), _by_item(without, metric)
    if left.keys() != right.keys():
        raise InputError(
            f"{name}: the two sides answered different items ({len(left)} and {len(right)})."
        )
    groups: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for key, (task, group, score) in left.items():
        groups[task][group].append(score - right[key][2])
    return {
        task: np.array([math.fsum(found[group]) / len(found[group]) for group in sorted(found)])
        for task, found in groups.items()
    }


def _by_item(
    rows: Sequence[EvalRow], metric: str
) -> Mapping[tuple[str, str], tuple[str, str, float]]:
    return {(row.suite, row.item): (row.task, row.group, row.metrics[metric]) for row in rows}


def _variance(values: Floats) -> float:
    """Variance of the mean of independent values; 0 for a single one."""
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0


def _half_width(items: float, items_free: int, trainings: float, trainings_free: int) -> float:
    from scipy.stats import t

    total = items + trainings
    if total == 0:
        return 0.0
    spread = items**2 / items_free + (trainings**2 / trainings_free if trainings_free else 0.0)
    return float(t.ppf((1 + CONFIDENCE) / 2, total**2 / spread) * math.sqrt(total))


def _mean(sides: Sequence[Sequence[EvalRow]], metric: str) -> float:
    """Mean over seeds of the mean over tasks."""
    means = [
        np.mean([np.mean([row.metrics[metric] for row in part]) for part in by_task(rows).values()])
        for rows in sides
    ]
    return float(np.mean(means))
