"""Problems to train on and to judge with: seeded, of any level, one of each orbit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from honewheel.errors import InputError
from honewheel.tasks.puzzle import base
from honewheel.tasks.puzzle.base import Problem

MISSES = 5_000  # problems in a row that were there already: the orbits are running out


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to make. `level` None takes every level as it comes."""

    kind: str
    size: str | None = None  # None: the kind's first
    rule: str | None = None  # None: the kind's first
    level: str | None = None
    seed: int = 0


def problems(order: Order) -> Iterator[Problem]:
    """Problems without end, no two of them symmetric; the same order gives the same ones.

    Raises:
        InputError: there is no such kind, size, rule or level, or no further orbit is found.
    """
    kind = base.task(order.kind)
    if not kind.sizes:
        raise InputError(f"Problems of kind {order.kind} are not made but brought by people.")
    size, rule = order.size or kind.sizes[0], order.rule or kind.rules[0]
    seen: set[tuple[str, ...]] = set()
    missed = 0
    for one in kind.generate(size, rule, order.level, np.random.default_rng(order.seed)):
        key = kind.group_keys(one.prompt, {})
        missed = missed + 1 if key in seen else 0
        if missed == MISSES:
            raise InputError(
                f"{len(seen):,} different problems of {order.kind} {size} ({rule}) were found; the "
                f"next {MISSES:,} were symmetric to one of them. Ask for fewer, or a larger size."
            )
        if not missed:
            seen.add(key)
            yield one
