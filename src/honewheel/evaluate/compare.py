"""Challenger against champion, item by item: paired differences with a cluster bootstrap.

Both answered the same items, so the difference is taken per item; items of one group are
near-copies, so groups and not items are resampled (Field & Welsh 2007, "Bootstrapping clustered
data"). Deviations are stretched by sqrt(G / (G - 1)), without which the percentile interval of a
mean of G groups is too short by that factor. The same seed gives the same interval, and the order
of the rows never matters. Where a task scores whole sets (`setwise`), its statistic takes the
place of the mean.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from honewheel.errors import InputError, NotEnoughData
from honewheel.evaluate import setwise
from honewheel.evaluate.setwise import SetStratum, Statistic
from honewheel.records import Comparison, EvalRow

Floats = npt.NDArray[np.float64]
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class _Stratum:
    """The paired differences of one task, summed by group in the order of the groups' names."""

    sums: Floats
    sizes: Floats
    champion: float
    challenger: float

    @property
    def groups(self) -> int:
        return len(self.sums)

    @property
    def items(self) -> int:
        return int(self.sizes.sum())

    @property
    def difference(self) -> float:
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def unsure(self) -> bool:
        """Whether nothing is known of the spread although there is something to know."""
        return self.groups < 2 and bool(self.sums.any())

    @property
    def spread(self) -> float:
        """Standard deviation of the group means; 0 when there is one group."""
        means = self.sums / self.sizes
        return float(means.std(ddof=1)) if len(means) > 1 else 0.0

    def deviations(self, random: np.random.Generator, resamples: int) -> Floats:
        """[r] mean differences of resampled groups, less the difference."""
        groups = self.groups
        if groups < 2:
            return np.zeros(resamples)
        drawn = random.integers(groups, size=(resamples, groups))
        means = self.sums[drawn].sum(axis=1) / self.sizes[drawn].sum(axis=1)
        stretched: Floats = (means - self.difference) * math.sqrt(groups / (groups - 1))
        return stretched


_Any = _Stratum | SetStratum


def compare(
    name: str,
    metric: str,
    challenger_rows: Sequence[EvalRow],
    champion_rows: Sequence[EvalRow],
    *,
    level: float,
    seed: int,
    base_rows: Sequence[EvalRow] | None = None,
    resamples: int = RESAMPLES,
    statistics: Mapping[str, Statistic] | None = None,
) -> Comparison:
    """Mean difference over all items with its two-sided 95 % interval and the bound at `level`.

    With a single group nothing is known of the spread: the interval is [-1, 1], unless every
    difference is 0. `statistics` are the set metrics of tasks that have one; they take the place
    of the mean, and their name that of `metric`, where all rows are of one such task.

    Raises:
        NotEnoughData: no rows, or a set metric that is undefined on them.
        InputError: the two sides answered different items, an item twice, or a metric that is
            missing or not a number.
    """
    tasks = {row.task for row in challenger_rows}
    found = (statistics or {}).get(min(tasks)) if len(tasks) == 1 else None
    stratum = _measured(name, metric, challenger_rows, champion_rows, found, seed, resamples)
    base = _base(metric, base_rows, {} if found is None else {min(tasks): found})
    return _comparison(
        name, metric if found is None else found.name, [stratum], base, level, seed, resamples
    )


def pooled(
    name: str,
    metric: str,
    challenger_rows: Sequence[EvalRow],
    champion_rows: Sequence[EvalRow],
    *,
    level: float,
    seed: int,
    base_rows: Sequence[EvalRow] | None = None,
    resamples: int = RESAMPLES,
    statistics: Mapping[str, Statistic] | None = None,
) -> Comparison:
    """Mean over tasks of each task's mean difference; the bootstrap is stratified by task.

    Every task counts alike, however many items it has. `spread` is scaled so that spread^2 over
    all groups is the variance of the estimate. Raises as `compare`.
    """
    ours, theirs = _by_task(challenger_rows), _by_task(champion_rows)
    tasks = sorted(ours.keys() | theirs.keys())
    sets = {task: found for task, found in (statistics or {}).items() if task in tasks}
    strata = [
        _measured(
            f"{name}: {task}",
            metric,
            ours.get(task, []),
            theirs.get(task, []),
            sets.get(task),
            seed,
            resamples,
        )
        for task in tasks
    ]
    if not strata:
        raise NotEnoughData(f"{name or 'The panel'} has no items, so nothing can be compared.")
    names = {sets[task].name if task in sets else metric for task in tasks}
    told = min(names) if len(names) == 1 else metric
    base = _base(metric, base_rows, sets)
    return _comparison(name, told, strata, base, level, seed, resamples)


def _comparison(
    name: str,
    metric: str,
    strata: Sequence[_Any],
    base: float | None,
    level: float,
    seed: int,
    resamples: int,
) -> Comparison:
    difference = math.fsum(one.difference for one in strata) / len(strata)
    groups = sum(one.groups for one in strata)
    low, high, bound = _interval(strata, difference, level, seed, resamples)
    variance = math.fsum(one.spread**2 / one.groups for one in strata) / len(strata) ** 2
    return Comparison(
        name=name,
        metric=metric,
        items=sum(one.items for one in strata),
        groups=groups,
        champion=math.fsum(one.champion for one in strata) / len(strata),
        challenger=math.fsum(one.challenger for one in strata) / len(strata),
        difference=difference,
        low=low,
        high=high,
        bound=bound,
        level=level,
        spread=math.sqrt(groups * variance),
        base=base,
    )


def _interval(
    strata: Sequence[_Any], difference: float, level: float, seed: int, resamples: int
) -> tuple[float, float, float]:
    """(2.5 %, 97.5 %, 1 - level) points of the bootstrap distribution, within [-1, 1]."""
    if any(one.unsure for one in strata):
        return -1.0, 1.0, -1.0
    random = np.random.default_rng(seed)
    draws = np.zeros(resamples)
    for one in strata:
        draws += one.deviations(random, resamples) / len(strata)
    ends = np.quantile(difference + draws, [0.025, 0.975, 1 - level])
    low, high, bound = (float(end) for end in np.clip(ends, -1, 1))
    return low, high, bound


def _measured(
    name: str,
    metric: str,
    ours: Sequence[EvalRow],
    theirs: Sequence[EvalRow],
    statistic: Statistic | None,
    seed: int,
    resamples: int,
) -> _Any:
    """The stratum of one task: of means, or of its set metric."""
    means = _stratum(name, metric, ours, theirs)
    if statistic is None:
        return means
    by_item = [sorted(rows, key=lambda row: (row.suite, row.item)) for rows in (ours, theirs)]
    return setwise.stratum(name, statistic, *by_item, seed=seed, resamples=resamples)


def _stratum(
    name: str, metric: str, ours: Sequence[EvalRow], theirs: Sequence[EvalRow]
) -> _Stratum:
    left, right = _by_item(name, metric, ours), _by_item(name, metric, theirs)
    if left.keys() != right.keys():
        odd = min(left.keys() ^ right.keys())
        raise InputError(
            f"{name}: challenger and champion answered different items ({len(left)} and "
            f"{len(right)}; {odd[1]} of suite {odd[0]} stands on one side only). Evaluate both "
            "on the same suite."
        )
    if not left:
        raise NotEnoughData(f"{name} has no items, so nothing can be compared.")
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for key in left:
        groups[left[key][0]].append(left[key][1] - right[key][1])
    ordered = [groups[group] for group in sorted(groups)]
    return _Stratum(
        sums=np.array([math.fsum(differences) for differences in ordered]),
        sizes=np.array([float(len(differences)) for differences in ordered]),
        champion=math.fsum(score for _, score in right.values()) / len(right),
        challenger=math.fsum(score for _, score in left.values()) / len(left),
    )


def _by_item(
    name: str, metric: str, rows: Sequence[EvalRow]
) -> Mapping[tuple[str, str], tuple[str, float]]:
    """(suite, item) -> (group, score), checked."""
    found: dict[tuple[str, str], tuple[str, float]] = {}
    for row in rows:
        score = row.metrics.get(metric, math.nan)
        if not math.isfinite(score):
            raise InputError(
                f"{name}: {metric} of {row.version} on item {row.item} is {score}, which cannot "
                "be compared. Evaluate again, or mend the task's compare()."
            )
        if (row.suite, row.item) in found:
            raise InputError(f"{name}: {row.version} has two rows for item {row.item}.")
        found[row.suite, row.item] = row.group, score
    return found


def _by_task(rows: Sequence[EvalRow]) -> dict[str, list[EvalRow]]:
    tasks: defaultdict[str, list[EvalRow]] = defaultdict(list)
    for row in rows:
        tasks[row.task].append(row)
    return dict(tasks)


def _base(
    metric: str, rows: Sequence[EvalRow] | None, sets: Mapping[str, Statistic]
) -> float | None:
    """The untuned base's mean over tasks of the task means, as for the two sides."""
    if not rows:
        return None
    means = [
        sets[task].value(part)
        if task in sets
        else math.fsum(row.metrics[metric] for row in part) / len(part)
        for task, part in _by_task(rows).items()
    ]
    return math.fsum(means) / len(means)
