"""Who gets feedback: weights that undo that some responses are judged more often than others.

People speak up mostly when something is wrong, and of some tasks and lengths more than of others.
p = P(feedback | task, length) is a logistic regression over all responses, judged or not; a judged
one then stands for min(1/p, 10) of its kind, self-normalised (Swaminathan & Joachims 2015, "The
self-normalized estimator for counterfactual learning").

This corrects what task and length explain. It cannot correct for silence that depends on the
quality itself among responses of one kind; only judging a random sample tells that.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from honewheel.curate import logistic, reward
from honewheel.curate.logistic import Array
from honewheel.curate.rows import Row
from honewheel.curate.weighting import Factors, ess
from honewheel.records import Event, Response

VERSION = f"1.{logistic.VERSION}"

CLIP = 10.0  # most responses that one may stand for
LEAST = 50.0  # effective rows below which the estimate rests on too few


@dataclass(frozen=True, slots=True, kw_only=True)
class Propensity:
    """P(feedback) of a response: task intercepts and slopes on two standardised log lengths."""

    tasks: Mapping[str, float]
    slopes: tuple[float, float]  # of the output's and the prompt's length
    centre: tuple[float, float]
    spread: tuple[float, float]

    def probability(self, response: Response) -> float:
        """P(feedback) in (0, 1); raises KeyError for a task that the fit has not seen."""
        z = self.tasks[response.task]
        for length, slope, centre, spread in zip(
            _lengths(response), self.slopes, self.centre, self.spread, strict=True
        ):
            z += slope * (length - centre) / spread
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, z))))

    def weight(self, response: Response) -> float:
        """How many responses of its kind a judged one stands for, in [1, 10]."""
        return min(1 / self.probability(response), CLIP)


def fit(events: Iterable[Event]) -> Propensity | None:
    """The propensity of these responses; None when all or none of them have feedback.

    Reads the events once and keeps some 150 bytes of each.
    """
    return _fit(_observe(events))


def _fit(seen: _Observed) -> Propensity | None:
    heard = seen.heard
    if not 0 < heard.sum() < len(heard):
        return None
    tasks, place = np.unique(seen.tasks, return_inverse=True)
    centre, spread = seen.lengths.mean(axis=0), seen.lengths.std(axis=0)
    spread[spread < 1e-9] = 1.0
    x = np.zeros((len(heard), len(tasks) + 2))
    x[np.arange(len(heard)), place] = 1
    x[:, len(tasks) :] = (seen.lengths - centre) / spread
    b = _coefficients(x, heard, len(tasks))
    return Propensity(
        tasks=dict(zip(map(str, tasks), (round(float(one), 6) for one in b), strict=False)),
        slopes=_pair(b[len(tasks) :]),
        centre=_pair(centre),
        spread=_pair(spread),
    )


def factors(rows: Sequence[Row], events: Iterable[Event]) -> Factors:
    """Inverse propensity of each row with mean 1, or all 1 with the reason.

    `events` are all responses of the tasks, those without feedback among them, and are read twice;
    a row of which none is in the log (made, not recorded) stands for itself. Refused when all
    responses have feedback (nothing to correct) and when the effective sample size of the rows
    falls below 50.
    """
    seen = _observe(events)
    found = _fit(seen)
    plain = tuple(1.0 for _ in rows)
    if found is None:
        count = len(seen.heard)
        told = f"all {count:,} responses have feedback, so there is nothing to correct"
        return Factors(values=plain, refused=f"Inverse propensity is not used: {told}.")
    wanted = {row.event for row in rows}
    known = {event.id: found.weight(event.response) for event in events if event.id in wanted}
    raw = [known.get(row.event, 1.0) for row in rows]
    effective = ess(raw)
    if effective < LEAST:
        told = (
            f"{len(rows):,} rows count as {effective:.0f}, at least {LEAST:.0f} are needed. "
            "Collect more feedback or set curate.propensity = false"
        )
        return Factors(values=plain, refused=f"Inverse propensity is not used: {told}.")
    mean = math.fsum(raw) / len(raw)
    return Factors(values=tuple(one / mean for one in raw))


class _Observed(NamedTuple):
    heard: Array  # [n] 1 where somebody spoke, by event id
    tasks: npt.NDArray[np.str_]  # [n]
    lengths: Array  # [n, 2]


def _observe(events: Iterable[Event]) -> _Observed:
    names, tasks = [], []
    numbers = array("d")
    for event in events:
        names.append(event.id)
        tasks.append(sys.intern(event.response.task))
        numbers.extend((float(reward.target(event) is not None), *_lengths(event.response)))
    order = sorted(range(len(names)), key=names.__getitem__)
    table = np.frombuffer(numbers).reshape(-1, 3)[order]
    return _Observed(table[:, 0], np.array([tasks[at] for at in order]), table[:, 1:])


def _lengths(response: Response) -> tuple[float, float]:
    return math.log1p(len(response.output)), math.log1p(len(response.prompt))


def _coefficients(x: Array, heard: Array, tasks: int) -> Array:
    rate = float(heard.mean())
    prior = np.zeros(x.shape[1])
    prior[:tasks] = math.log(rate / (1 - rate))  # a rare task is taken for a typical one
    return logistic.ridge(x, heard, np.ones(len(heard)), prior=prior, strength=np.ones(x.shape[1]))


def _pair(found: Array) -> tuple[float, float]:
    return round(float(found[0]), 6), round(float(found[1]), 6)
