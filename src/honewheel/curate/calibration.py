"""Value refitted on what people said: coefficients, then a curve, with the error they leave.

Every explicit verdict of a person (rating, thumb, correction) is a label, predicted from what all
others said and did and from the check: leave one speaker out, so no label is its own evidence.
The fit is a ridge logistic pulled towards the hand-set coefficients; columns that never occur
keep them, and none falls below 0, so value stays monotone in every signal. There are two
intercepts, because where each output has one judge, the rate at which judges accept says nothing
of what a second would say after a thumb up. An isotonic curve on out-of-fold predictions follows
(Zadrozny & Elkan 2002), kept only if it lowers the Brier score on folds it has not seen. Folds
are whole groups.

What it cannot see: outputs nobody judged. The labels are those of people who chose to speak.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from honewheel.curate import evidence, logistic, raters
from honewheel.curate.evidence import PRIOR, PRIORS, entries, verdicts
from honewheel.curate.logistic import Array
from honewheel.curate.stock import Stock
from honewheel.records import Event

VERSION = f"2.{evidence.VERSION}.{logistic.VERSION}.{raters.VERSION}"

ENOUGH = 200  # events with a person's verdict; below it the hand-set coefficients stay
MOST = 50_000  # events that are looked at, drawn by hash; more would not move 20 coefficients
FOLDS = 5
_STRENGTH = 4.0  # a prior standard deviation of half a logit around the hand-set coefficient
_COLUMNS = tuple(sorted(PRIORS))
_PLACE = {column: at + 2 for at, column in enumerate(_COLUMNS)}
_SPOKEN = frozenset({"rating/person", "thumb/person", "correction/person"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A refitted value.

    `silent` and `spoken` are the intercepts where no person has said whether the output is right,
    and where somebody has. `knots` are (logit before, logit after), rising; empty: no curve. They
    bend the silent kind only: a curve may be flat, and what a person said must never be lost in it.
    `says` is the say in [0, 1] of the sources that have less than 1. `ece` is the expected
    calibration error in [0, 1] on folds the fit has not seen, `prior_ece` that of the hand-set
    coefficients on the same labels.
    """

    silent: float
    spoken: float
    coefficients: Mapping[str, float]
    knots: tuple[tuple[float, float], ...]
    says: Mapping[str, float]
    labelled: int  # events with a verdict of a person that were looked at
    ece: float
    prior_ece: float

    def probability(self, found: Iterable[tuple[str, float]]) -> float:
        """P(accept) in [0, 1] of these columns and entries."""
        known = list(found)
        spoken = any(column in _SPOKEN for column, _ in known)
        terms = [self.coefficients[column] * entry for column, entry in known]
        z = (self.spoken if spoken else self.silent) + math.fsum(terms)
        return logistic1(z if spoken else _bend(z, self.knots))


def fit(events: Iterable[Event]) -> Calibration | None:
    """The calibration of these events; None below `ENOUGH` events that a person judged.

    `events` are read twice. A pure function of their set: neither the clock nor their order counts.
    """
    says = raters.say(events)
    sample: Stock[_Labels] = Stock(MOST, rank=_drawn)
    labelled = sorted(sample.take(_labels(events, says)), key=lambda one: one.event)
    if len(labelled) < ENOUGH:
        return None
    x, y, weights, folds = _table(labelled)
    held_out = np.zeros(len(y))
    for fold in range(FOLDS):
        outside = folds != fold
        b = _coefficients(x[outside], y[outside], weights[outside])
        held_out[~outside] = x[~outside] @ b
    straight = logistic.logistic(held_out)
    silent = x[:, 0] == 1
    bent = straight.copy()
    bent[silent] = _cross_bent(held_out[silent], y[silent], weights[silent], folds[silent])
    curved = _brier(bent, y, weights) < _brier(straight, y, weights)
    b = _coefficients(x, y, weights)
    return Calibration(
        silent=round(float(b[0]), 6),
        spoken=round(float(b[1]), 6),
        coefficients=dict(zip(_COLUMNS, (round(float(one), 6) for one in b[2:]), strict=True)),
        knots=_knots(held_out[silent], y[silent], weights[silent]) if curved else (),
        says=says,
        labelled=len(labelled),
        ece=round(ece(bent if curved else straight, y, weights), 6),
        prior_ece=round(ece(logistic.logistic(x @ _PRIOR), y, weights), 6),
    )


def ece(
    predicted: Sequence[float] | Array,
    accepted: Sequence[float] | Array,
    weights: Sequence[float] | Array | None = None,
    bins: int = 10,
) -> float:
    """Expected calibration error in [0, 1]: mean |rate - prediction| over equally wide bins.

    Bins are weighted by their mass (Guo et al. 2017, "On calibration of modern neural networks").
    """
    p, y = np.asarray(predicted, float), np.asarray(accepted, float)
    w = np.ones(len(p)) if weights is None else np.asarray(weights, float)
    place = np.minimum((p * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(place, w * (y - p), bins)).sum() / w.sum())


def logistic1(z: float) -> float:
    """1 / (1 + e^-z) of one number, without overflow."""
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, z))))


_PRIOR = np.array([PRIOR, PRIOR, *(PRIORS[column] for column in _COLUMNS)])


class _Labels(NamedTuple):
    """One event's verdicts: [verdicts, columns + intercepts], [verdicts], [verdicts]."""

    event: str
    fold: int
    rows: Array
    accepted: Array
    weights: Array  # at most 1 together


def _labels(events: Iterable[Event], says: Mapping[str, float]) -> Iterator[_Labels]:
    """The verdicts of persons, each beside what all others said.

    A verdict weighs by the say of its source: what a coin flipper said is no label.
    """
    for event in events:
        if judged := verdicts(event, ("person",)):
            sources = sorted(judged)
            yield _Labels(
                event=event.id,
                fold=_fold(event),
                rows=np.array([_row(event, says, source) for source in sources]),
                accepted=np.array([float(judged[source]) for source in sources]),
                weights=np.array([says.get(source, 1.0) / len(judged) for source in sources]),
            )


def _row(event: Event, says: Mapping[str, float], source: str) -> list[float]:
    row = [1.0, 0.0] + [0.0] * len(_COLUMNS)
    for column, entry in entries(event, says, without=source):
        row[_PLACE[column]] += entry
        if column in _SPOKEN:
            row[:2] = 0.0, 1.0
    return row


def _drawn(labels: _Labels) -> tuple[bytes, str]:
    return hashlib.blake2b(labels.event.encode(), digest_size=8).digest(), labels.event


def _table(found: Sequence[_Labels]) -> tuple[Array, Array, Array, Array]:
    """One row a verdict: intercepts and columns, label, weight (at most 1 an event), fold."""
    return (
        np.concatenate([one.rows for one in found]),
        np.concatenate([one.accepted for one in found]),
        np.concatenate([one.weights for one in found]),
        np.repeat([float(one.fold) for one in found], [len(one.accepted) for one in found]),
    )


def _fold(event: Event) -> int:
    group = event.id if event.placement is None else event.placement.group
    return hashlib.blake2b(group.encode(), digest_size=4).digest()[0] % FOLDS


def _coefficients(x: Array, y: Array, weights: Array) -> Array:
    strength = np.full(len(_PRIOR), _STRENGTH)
    lower = np.array([-np.inf, -np.inf] + [0.0] * len(_COLUMNS))
    return logistic.ridge(x, y, weights, prior=_PRIOR, strength=strength, lower=lower)


def _knots(z: Array, y: Array, weights: Array) -> tuple[tuple[float, float], ...]:
    """The isotonic curve as its corners, in logits.

    One made-up label stands against each end, so that a few lucky labels there do not make 0 or 1.
    """
    if not len(z):
        return ()
    points, fitted = logistic.isotonic(
        np.array([z.min(), *z, z.max()]), np.array([1.0, *y, 0.0]), np.array([1.0, *weights, 1.0])
    )
    after = np.log(fitted / (1 - fitted))
    last = len(points) - 1
    return tuple(
        (round(float(points[at]), 6), round(float(after[at]), 6))
        for at in range(len(points))
        if at in (0, last) or after[at] != after[at - 1] or after[at] != after[at + 1]
    )


def _bend(z: float, knots: tuple[tuple[float, float], ...]) -> float:
    """The curve at z: straight lines between knots, slope 1 beyond them."""
    if not knots:
        return z
    at = bisect_left(knots, (z, -math.inf))
    if at in (0, len(knots)):
        left, low = knots[max(at - 1, 0)]
        return low + z - left
    (left, low), (right, high) = knots[at - 1], knots[at]
    return low + (high - low) * (z - left) / (right - left)


def _cross_bent(z: Array, y: Array, weights: Array, folds: Array) -> Array:
    """P by a curve that was fitted on the other folds."""
    bent = np.zeros(len(z))
    for fold in range(FOLDS):
        inside = folds == fold
        if inside.any():
            knots = _knots(z[~inside], y[~inside], weights[~inside])
            bent[inside] = [logistic1(_bend(float(one), knots)) for one in z[inside]]
    return bent


def _brier(p: Array, y: Array, weights: Array) -> float:
    return float(weights @ (p - y) ** 2)
