"""When each row of a training set is first shown: easy ones first, or all from the start.

Only *when* changes: every row is still learnt, and from `UNTIL` of the training on the order is
the plain shuffle. Ranks are taken within a task, so the mix of tasks never shifts. Off by
default: whether a curriculum helps depends on the data and on how good the difficulties are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from honewheel.curate.lots import lot
from honewheel.errors import InputError
from honewheel.records import Example

VERSION = 2

Kind = Literal["off", "competence", "stages", "hard-first", "easy-only"]

UNTIL = 0.4  # share of the training after which every row is shown
START = 0.1  # competence at the first update: the easiest tenth
STAGES = 3  # easy, medium, hard


def pace(examples: Sequence[Example], *, kind: Kind, seed: int) -> list[Example]:
    """The examples, in their order, each with its `since` in [0, 0.4].

    "competence": a row waits until c(t) reaches its rank. "stages": each task's easy third is
    shown at once, the medium and hard third from 0.2 and 0.4 of the training at the latest; a
    trainer may open them earlier (the family says when). "off" shows everything at once. Two more
    are there to compare with: "hard-first" are the stages the other way round, "easy-only" is the
    first of them alone, without the other rows. Raises InputError on another kind.
    """
    if kind == "off":
        return [replace(row, since=0.0) for row in examples]
    if kind not in get_args(Kind):
        raise InputError(f"There is no curriculum {kind!r}: choose {', '.join(get_args(Kind))}.")
    ranks = _ranks(examples, seed)
    if kind == "easy-only":
        easy = zip(examples, ranks, strict=True)
        return [replace(row, since=0.0) for row, rank in easy if _stage(rank) == 0.0]
    wait = {"competence": since, "stages": _stage, "hard-first": _hard_first}[kind]
    return [
        replace(row, since=round(wait(rank), 4)) for row, rank in zip(examples, ranks, strict=True)
    ]


def since(rank: float) -> float:
    """Share of the training from which a row of `rank` in [0, 1] is shown, in [0, UNTIL].

    The time at which competence reaches the rank: c(t) = min(1, sqrt(t (1 - c0^2) / T + c0^2))
    with c0 = START, T = UNTIL (Platanios et al. 2019, arXiv:1903.09848, equation 7 with p = 2).

    >>> [round(since(rank), 2) for rank in (0.1, 0.5, 1)]
    [0.0, 0.1, 0.4]
    """
    return max(0.0, UNTIL * (rank**2 - START**2) / (1 - START**2))


def _stage(rank: float) -> float:
    place = min(STAGES - 1, math.ceil(rank * STAGES - 1e-9) - 1)
    return UNTIL * place / (STAGES - 1)


def _hard_first(rank: float) -> float:
    return UNTIL - _stage(rank)


def _ranks(examples: Sequence[Example], seed: int) -> list[float]:
    """Share of its task's rows that are no harder than each row, in (0, 1].

    Ties of difficulty go to the shorter target, then to a hash.
    """
    tasks: defaultdict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(examples):
        tasks[row.task].append(index)
    ranks = [0.0] * len(examples)
    for members in tasks.values():
        members.sort(key=lambda index: _hardness(examples[index], seed))
        for place, index in enumerate(members, start=1):
            ranks[index] = place / len(members)
    return ranks


def _hardness(row: Example, seed: int) -> tuple[float, int, bytes, tuple[str, ...]]:
    return row.difficulty, len(row.target), lot(seed, row.id), row.events
