"""From clean rows to what is shown in training: select, mix, weigh, copy, pace.

Order matters and is fixed: copies are made of what was selected, share its weight, and take its
difficulty; the pace is set last, over everything that is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from honewheel.curate import (
    augment,
    curriculum,
    difficulty,
    propensity,
    replay,
    reward,
    selection,
    trust,
    weighting,
)
from honewheel.curate.knowledge import Known
from honewheel.curate.rows import Row
from honewheel.curate.settings import Settings
from honewheel.curate.stock import Stock
from honewheel.curate.weighting import Factors
from honewheel.records import Dropped, Example, Item

# Accepted outputs of one task that replay draws from. At a replay share of 0.3 a build asks for
# 0.43 replayed rows a new one, so 20,000 of a single task are enough for 46,000 corrections; at a
# few kilobytes a row they take some 50 MiB.
STOCK = 20_000

Choose: TypeAlias = Callable[[Sequence[Example], int], tuple[Example, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """What is shown in training, what was left out, and what there is to say of it."""

    train: tuple[Example, ...]
    left: tuple[Dropped, ...]
    notes: tuple[str, ...]


def mix(
    pool: Sequence[Row],
    *,
    as_of: datetime,
    settings: Settings,
    known: Known,
    hard: Mapping[str, float],
    learnt: frozenset[str],
    kinds: Mapping[str, str],
    held_out: Sequence[Item],
) -> Mixed:
    """Training examples of the rows in `pool`.

    `hard` is the difficulty of their groups. `learnt` are events the champion was trained on:
    where `max_examples` cuts, what nobody has learnt yet goes first. `kinds` maps tasks to their
    kinds, `held_out` is what no copy may give away.
    """
    taken, left = _select(pool, as_of, settings, known, learnt)
    weighed, refused = _weigh(taken, as_of, settings, known, hard)
    copied = augment.augment(
        weighed, copies=settings.augment, seed=settings.seed, tasks=kinds, held_out=held_out
    )
    scale = len(copied) / math.fsum(row.weight for row in copied) if copied else 1.0
    level = [replace(row, weight=float(f"{row.weight * scale:.6g}")) for row in copied]
    paced = curriculum.pace(level, kind=settings.curriculum, seed=settings.seed)
    shown = {row.events for row in paced}
    left += [
        row.drop("left out by the curriculum", f"{settings.curriculum}: among the harder ones")
        for row in taken
        if row.example.events not in shown
    ]
    return Mixed(train=tuple(paced), left=tuple(left), notes=refused)


def stock(as_of: datetime, settings: Settings, known: Known) -> Stock[Row]:
    """What is kept of the accepted outputs while the log is read: the replay's own first choice.

    Ranked as the reservoir ranks them, so that it finds in the stock what it would have found in
    all of them, except where more than STOCK of one task are asked for.
    """

    def rank(row: Row) -> tuple[float, str, str]:
        weight = _decayed(row, as_of, known.half_life_days)
        return replay.key(row.example.id, weight, settings.seed), row.example.id, row.event

    return Stock(STOCK, rank=rank, shelf=lambda row: row.example.task)


def _select(
    pool: Sequence[Row],
    as_of: datetime,
    settings: Settings,
    known: Known,
    learnt: frozenset[str],
) -> tuple[list[Row], list[Dropped]]:
    """New rows, the replay drawn for them, and why the others were left out."""
    decayed = [_decay(row, as_of, known.half_life_days) for row in pool]
    fresh = [row for row in decayed if row.role == "new"]
    most = len(fresh) if settings.max_examples is None else settings.max_examples
    unknown = [row for row in fresh if not learnt.issuperset(row.events)]
    familiar = [row for row in fresh if learnt.issuperset(row.events)]
    pick = _picker(settings.selection, settings.seed)
    first = pick(unknown, most)
    new = (*first, *pick(familiar, most - len(first)))
    stock = [row for row in decayed if row.role == "replay"]
    size = replay.budget(len(new), settings.replay_share)
    again = _picker(settings.replay, settings.seed)(stock, size)
    chosen = {row.events for row in (*new, *again)}
    why = {
        "new": ("not selected", f"{len(new)} of {len(fresh)} new rows were drawn"),
        "replay": ("not replayed", f"{len(again)} of {len(stock)} known rows were drawn"),
    }
    left = [row.drop(*why[row.example.role]) for row in pool if row.example.events not in chosen]
    return [row for row in pool if row.example.events in chosen], left


def _picker(how: str, seed: int) -> Choose:
    if how == "coverage":
        return lambda rows, size: selection.choose(rows, size, seed=seed)
    return lambda rows, size: replay.choose(rows, size, seed)


def _decay(row: Row, as_of: datetime, half_life_days: float) -> Example:
    return replace(row.example, weight=_decayed(row, as_of, half_life_days))


def _decayed(row: Row, as_of: datetime, half_life_days: float) -> float:
    return reward.weight(weighting.age_days(row, as_of), half_life_days, copies=0)


def _weigh(
    taken: Sequence[Row],
    as_of: datetime,
    settings: Settings,
    known: Known,
    hard: Mapping[str, float],
) -> tuple[list[Example], tuple[str, ...]]:
    """The examples with their difficulty and weights; and which factors were refused, and why."""
    factors: list[Factors] = []
    if settings.propensity:
        factors.append(propensity.factors(taken, known.events))
    if settings.learnability:
        factors.append(difficulty.learnability(taken, hard))
    factors.append(_trust(taken, settings.trust))
    weights = weighting.weights(
        taken,
        as_of=as_of,
        half_life_days=known.half_life_days,
        task_balance=settings.task_balance,
        factors=factors,
    )
    weighed = [
        replace(
            row.example, weight=weight, difficulty=hard.get(row.example.group, difficulty.UNKNOWN)
        )
        for row, weight in zip(taken, weights, strict=True)
    ]
    return weighed, tuple(one.refused for one in factors if one.refused)


def _trust(taken: Sequence[Row], believed: Mapping[str, float]) -> Factors:
    """A row weighs as much as its writer is trusted; those trusted with nothing are not heard."""
    return Factors(values=tuple(trust.factor(row.source, believed) for row in taken))
