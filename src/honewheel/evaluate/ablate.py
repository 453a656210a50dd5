"""What one technique is worth: paired differences of models trained with and without it.

Every pair of trainings shares its seed and answers the same held-out items. Two things make the
mean difference uncertain: which items were held out (clustered by group) and how each training
happened to go (the seeds). Their variances add, and the interval is Student's t with the degrees
of freedom of Satterthwaite (1946), "An approximate distribution of estimates of variance
components". Where a task scores whole panels, its set metric is compared in place of the mean
score, and what the items add comes from the bootstrap of `setwise`.
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
from honewheel.evaluate import setwise
from honewheel.evaluate.setwise import Statistic
from honewheel.records import EvalRow

Floats = npt.NDArray[np.float64]
Answer = Literal["helps", "no measurable effect", "hurts"]
CONFIDENCE = 0.95
RESAMPLES = 1000  # of the items, for a set metric


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


@dataclass(frozen=True, slots=True)
class _Part:
    """One task: a difference a seed, the variance that its items add, and the means."""

    by_seed: Floats
    items: float
    groups: int
    with_it: float
    without: float


def effect(
    name: str,
    with_it: Sequence[Sequence[EvalRow]],
    without: Sequence[Sequence[EvalRow]],
    *,
    metric: str = "score",
    statistics: Mapping[str, Statistic] | None = None,
) -> Effect:
    """The effect over all tasks in the rows, each task counting alike.

    `with_it` and `without` hold one sequence of rows a seed, in the same order of seeds. With one
    seed the interval knows nothing of how trainings vary, only of the items. `statistics` are the
    set metrics of tasks that have one.

    Raises:
        NotEnoughData: no seed, no row, a single group, from which no interval follows, or a set
            metric that is undefined on the rows.
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
    sets = statistics or {}
    tasks = sorted(tables[0])
    parts = [
        _of_set(name, sets[task], _only(task, with_it), _only(task, without))
        if task in sets
        else _of_means(metric, [one[task] for one in tables], task, with_it, without)
        for task in tasks
    ]
    groups = sum(part.groups for part in parts)
    if groups <= len(tasks):
        raise NotEnoughData(f"{name}: {groups} independent items give no interval.")
    by_seed = np.mean([part.by_seed for part in parts], axis=0)
    items = math.fsum(part.items for part in parts) / len(tasks) ** 2
    difference = float(by_seed.mean())
    half = _half_width(items, groups - len(tasks), _variance(by_seed), len(by_seed) - 1)
    names = {sets[task].name if task in sets else metric for task in tasks}
    return Effect(
        name=name,
        metric=min(names) if len(names) == 1 else metric,
        with_it=float(np.mean([part.with_it for part in parts])),
        without=float(np.mean([part.without for part in parts])),
        difference=difference,
        low=max(-1.0, difference - half),
        high=min(1.0, difference + half),
        seeds=len(by_seed),
        items=len(with_it[0]),
        groups=groups,
    )


def _of_means(
    metric: str,
    tables: Sequence[Floats],
    task: str,
    with_it: Sequence[Sequence[EvalRow]],
    without: Sequence[Sequence[EvalRow]],
) -> _Part:
    middle = np.mean(tables, axis=0)
    means = [
        float(np.mean([np.mean([row.metrics[metric] for row in rows]) for rows in side]))
        for side in (_only(task, with_it), _only(task, without))
    ]
    by_seed = np.array([table.mean() for table in tables])
    return _Part(by_seed, _variance(middle), len(middle), *means)


def _of_set(
    name: str,
    statistic: Statistic,
    with_it: Sequence[Sequence[EvalRow]],
    without: Sequence[Sequence[EvalRow]],
) -> _Part:
    """Every seed is resampled alike, so the mean over seeds is one of the resampled items."""
    found = [
        setwise.stratum(name, statistic, *map(_ordered, sides), seed=0, resamples=RESAMPLES)
        for sides in zip(with_it, without, strict=True)
    ]
    drawn = np.mean([one.drawn for one in found], axis=0)
    return _Part(
        by_seed=np.array([one.difference for one in found]),
        items=float(drawn.var(ddof=1)),
        groups=found[0].groups,
        with_it=float(np.mean([one.challenger for one in found])),
        without=float(np.mean([one.champion for one in found])),
    )


def _only(task: str, sides: Sequence[Sequence[EvalRow]]) -> list[list[EvalRow]]:
    return [[row for row in rows if row.task == task] for rows in sides]


def _ordered(rows: Sequence[EvalRow]) -> list[EvalRow]:
    return sorted(rows, key=lambda row: (row.suite, row.item))


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
