"""Predictions to scored rows, and rows to means and rates. Pure and free of model families."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

from honewheel.errors import InputError, NotEnoughData
from honewheel.records import EvalRow, Item, Prediction
from honewheel.tasks.asked import asked

VERSION = 1

# Task.compare: (output, reference, context with the prompt) -> metrics in [0, 1]
Compare: TypeAlias = Callable[[str, str, Mapping[str, str]], Mapping[str, float]]

REQUIRED = ("score", "valid", "exact")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of `count` rows with its two-sided interval."""

    value: float
    low: float
    high: float
    count: int


def rows(
    version: str,
    suite: str,
    items: Sequence[Item],
    predictions: Iterable[Prediction],
    compare: Compare,
) -> list[EvalRow]:
    """One row an item, in the order of `items`.

    Raises:
        InputError: an item without a prediction, or a metric that is missing, not a number, or
            outside [0, 1].
    """
    answers = {answer.item: answer for answer in predictions}
    missing = [item.id for item in items if item.id not in answers]
    if missing:
        raise InputError(
            f"{version} answered {len(items) - len(missing)} of {len(items)} items of {suite}; "
            f"{missing[0]} is the first without an answer. Evaluate again."
        )
    return [_row(version, suite, item, answers[item.id], compare) for item in items]


def mean(found: Sequence[EvalRow], metric: str) -> float:
    """Mean of a metric in [0, 1]. Raises NotEnoughData on no rows."""
    if not found:
        raise NotEnoughData(f"There is no mean {metric} of zero rows; the suite is empty.")
    return math.fsum(row.metrics[metric] for row in found) / len(found)


def rate(found: Sequence[EvalRow], metric: str, level: float = 0.95) -> Rate:
    """Share of rows on which a 0/1 metric is 1, with a Wilson interval. Raises NotEnoughData."""
    value = mean(found, metric)
    low, high = wilson(sum(row.metrics[metric] >= 1 for row in found), len(found), level)
    return Rate(value=value, low=low, high=high, count=len(found))


def wilson(successes: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Two-sided score interval of a proportion (Wilson 1927).

    >>> [round(end, 3) for end in wilson(0, 10)]
    [0.0, 0.278]
    """
    if not 0 <= successes <= count or count == 0:
        raise InputError(f"{successes} of {count} is not a proportion.")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / count
    center = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    low = 0.0 if successes == 0 else (center - half) / scale
    high = 1.0 if successes == count else (center + half) / scale
    return low, high


def _row(version: str, suite: str, item: Item, answer: Prediction, compare: Compare) -> EvalRow:
    metrics = dict(compare(answer.output, item.reference, asked(item)))
    for name in (*REQUIRED, *metrics):
        number = metrics.get(name)
        if number is None or not 0 <= number <= 1:
            raise InputError(
                f"Metric {name!r} of item {item.id} (task {item.task}) is {number}; it must be a "
                "number in [0, 1]. The task's compare() is at fault."
            )
    return EvalRow(
        version=version,
        suite=suite,
        task=item.task,
        item=item.id,
        group=item.group,
        metrics=metrics,
        output=answer.output,
    )
