"""How fast feedback ages here: the half-life whose past best foretells what is accepted next.

Time-forward validation: the newest fifth of the judged outputs is cut into four slices; before
each slice a logistic model of acceptance (task, check, lengths) is fitted on everything older,
weighted by 2^(-age / H), and its log-loss on the slice is taken. Another half-life than the
default is chosen only if it beats it by more than one standard error of the paired difference,
taken over days: what was judged on one day stands or falls together.

A new champion moves acceptance as a change of taste does, and this cannot tell the two apart: a
log in which versions change every month may ask for a shorter half-life than its corrections need.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from honewheel.curate import difficulty, logistic
from honewheel.curate.calibration import Calibration
from honewheel.curate.logistic import Array
from honewheel.records import Event, utc

VERSION = f"1.{difficulty.VERSION}.{logistic.VERSION}"

CHOICES = (14.0, 45.0, 180.0, math.inf)
DEFAULT = 180.0
ENOUGH = 200  # judged outputs
SPAN_DAYS = 28.0  # twice the shortest choice; within less they hardly differ
MOST = 50_000  # newest judged outputs that are looked at
DAYS = 8  # on which the newest fifth must have been judged
_SLICES = 4
_NEWEST = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One judged output: when it was judged, whether it was accepted, and what it looked like."""

    id: str
    at: datetime
    task: str
    accepted: bool
    features: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLife:
    """Days (inf: no decay), why, and the mean log-loss of each choice; none when not measured."""

    days: float
    reason: str
    losses: dict[float, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """`x` (n, tasks + features): one column a task, then standardised features; oldest first."""

    x: Array
    y: Array  # (n,) whether accepted
    days: Array  # (n,) since the oldest
    tasks: int


def observations(
    events: Iterable[Event], calibration: Calibration | None = None
) -> list[Observation]:
    """The judged outputs, at most the MOST newest ones, oldest verdict first."""
    found = heapq.nlargest(MOST, _observed(events, calibration), key=lambda one: (one.at, one.id))
    return found[::-1]


def _observed(events: Iterable[Event], calibration: Calibration | None) -> Iterator[Observation]:
    for event in events:
        accepted = difficulty.success(event, calibration)
        if accepted is None or event.placement is None:
            continue
        response, check = event.response, event.placement.check
        yield Observation(
            id=event.id,
            at=utc(max(item.created_at for item in event.feedback)),
            task=response.task,
            accepted=accepted,
            features=(
                float(check.valid),
                check.score,
                math.log1p(len(response.output)),
                math.log1p(len(response.prompt)),
            ),
        )


def choose(found: Sequence[Observation]) -> HalfLife:
    """The half-life among 14, 45, 180 days and none; 180 when there is too little to tell."""
    ordered = sorted(found, key=lambda one: (one.at, one.id))[-MOST:]
    if len(ordered) < ENOUGH:
        return _default(f"{len(ordered)} judged outputs, {ENOUGH} are needed to choose")
    span = (ordered[-1].at - ordered[0].at).total_seconds() / 86_400
    if span < SPAN_DAYS:
        return _default(f"feedback spans {span:.0f} days, {SPAN_DAYS:.0f} are needed to choose")
    seen = _table(ordered)
    losses = {choice: _losses(seen, choice) for choice in CHOICES}
    tested = seen.days[len(ordered) - len(losses[DEFAULT]) :].astype(int)
    distinct, day = np.unique(tested, return_inverse=True)
    if len(distinct) < DAYS:
        return _default(f"the newest fifth was judged on {len(distinct)} days, {DAYS} are needed")
    return _verdict(losses, day)


def _default(why: str) -> HalfLife:
    return HalfLife(days=DEFAULT, reason=f"{_days(DEFAULT)}, the default: {why}.")


def _verdict(losses: dict[float, Array], day: npt.NDArray[np.intp]) -> HalfLife:
    means = {choice: round(float(found.mean()), 6) for choice, found in losses.items()}
    best = min(CHOICES, key=lambda choice: (means[choice], choice != DEFAULT))
    gain = losses[DEFAULT] - losses[best]
    error = math.sqrt(float((np.bincount(day, gain - gain.mean()) ** 2).sum())) / len(gain)
    told = f"log-loss {means[best]:.3f} with {_days(best)}, {means[DEFAULT]:.3f} with 180 days"
    on = f"on the {len(gain):,} newest judged outputs"
    if best == DEFAULT or float(gain.mean()) <= error:
        why = f"no other foretells acceptance better ({told}, {on})"
        return HalfLife(days=DEFAULT, reason=f"{_days(DEFAULT)}: {why}.", losses=means)
    return HalfLife(days=best, reason=f"{_days(best)}: {told}, {on}.", losses=means)


def _days(half_life: float) -> str:
    return "no decay" if math.isinf(half_life) else f"{half_life:.0f} days"


def _table(found: Sequence[Observation]) -> _Table:
    tasks = {task: at for at, task in enumerate(sorted({one.task for one in found}))}
    intercepts = np.zeros((len(found), len(tasks)))
    intercepts[np.arange(len(found)), [tasks[one.task] for one in found]] = 1
    features = np.array([one.features for one in found])
    spread = features.std(axis=0)
    features = (features - features.mean(axis=0)) / np.where(spread < 1e-9, 1.0, spread)
    return _Table(
        x=np.hstack([intercepts, features]),
        y=np.array([one.accepted for one in found], float),
        days=np.array([(one.at - found[0].at).total_seconds() / 86_400 for one in found]),
        tasks=len(tasks),
    )


def _losses(seen: _Table, half_life: float) -> Array:
    """Log-loss of each of the newest outputs, foretold from what was known before its slice."""
    count = len(seen.y)
    newest = np.arange(count - round(_NEWEST * count), count)
    found = []
    for part in np.array_split(newest, _SLICES):
        now = seen.days[part[0]]
        past = seen.days < now
        if not past.any():
            continue
        weights = np.exp2(-(now - seen.days[past]) / half_life)
        z = seen.x[part] @ _coefficients(seen, past, weights)
        found.append(np.logaddexp(0, z) - seen.y[part] * z)
    return np.concatenate(found) if found else np.zeros(0)


def _coefficients(seen: _Table, past: npt.NDArray[np.bool_], weights: Array) -> Array:
    """Pulled with the weight of one output towards the rate of all, so a thin past stays modest."""
    x, y = seen.x[past], seen.y[past]
    rate = (y.sum() + 1) / (len(y) + 2)
    prior = np.zeros(x.shape[1])
    prior[: seen.tasks] = math.log(rate / (1 - rate))
    return logistic.ridge(x, y, weights, prior=prior, strength=np.ones(x.shape[1]))
