"""What is learnt again so that it is not forgotten: a weighted reservoir, stratified by task.

Keys are u^(1/weight) with u in (0, 1) (Efraimidis & Spirakis 2006, "Weighted random sampling
with a reservoir"), where u is a hash of the seed and the example's id. The sample therefore does
not depend on the order of the pool, and growing the pool changes it only where a newcomer wins.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from honewheel.curate.lots import lot
from honewheel.errors import InputError
from honewheel.records import Example

VERSION = 1


def budget(new: int, share: float) -> int:
    """Replay rows that make `share` of the train set: round(share / (1 - share) * new)."""
    if not 0 <= share < 1:
        raise InputError(f"A replay share of {share:g} is outside 0 .. 1 (1 excluded).")
    return round(share / (1 - share) * new)


def choose(pool: Sequence[Example], size: int, seed: int) -> tuple[Example, ...]:
    """At most `size` rows of `pool`, each task with an equal share as far as its rows go.

    Within a task rows are drawn without replacement with probability growing with their weight.
    """

    def place(row: Example) -> tuple[float, str, tuple[str, ...]]:
        return -key(row.id, row.weight, seed), row.id, row.events

    tasks: defaultdict[str, list[Example]] = defaultdict(list)
    for row in pool:
        tasks[row.task].append(row)
    shares = allot({task: len(rows) for task, rows in tasks.items()}, size)
    chosen = []
    for task in sorted(tasks):
        ranked = sorted(tasks[task], key=place)
        chosen += ranked[: shares[task]]
    return tuple(chosen)


def key(name: str, weight: float, seed: int) -> float:
    """Log of u^(1/weight), in (-inf, 0), of the row with this id: the largest are the sample."""
    uniform = (int.from_bytes(lot(seed, name), "big") + 0.5) / 2**64
    return math.log(uniform) / weight


def allot(stock: Mapping[str, int], size: int) -> dict[str, int]:
    """Rows per task: equal shares, what a small task cannot fill goes to the others.

    >>> allot({"ddl": 100, "erd": 100, "query": 4}, 20)
    {'query': 4, 'ddl': 8, 'erd': 8}
    """
    left = min(max(size, 0), sum(stock.values()))
    shares = {}
    for place, task in enumerate(sorted(stock, key=lambda task: (stock[task], task))):
        shares[task] = min(stock[task], left // (len(stock) - place))
        left -= shares[task]
    return shares
