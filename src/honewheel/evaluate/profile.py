"""How well problems with an exact answer are solved: by difficulty, beside a baseline and chance.

Solving all of them is what the oracle does. A model that learns to is proof of the loop, so its
figures stand between the trivial baseline and that 100 %, and never alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from honewheel.evaluate import metrics
from honewheel.evaluate.metrics import Rate
from honewheel.records import EvalRow, Item
from honewheel.tasks.asked import asked
from honewheel.tasks.puzzle import base

ALL = "all"
_SHOWN = {"score", "valid", "facts", "exact", "equivalent"}  # not a measure of the kind's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Problems of one difficulty. `exact` and `valid` with Wilson intervals; `violations` errors
    of the oracle an answer; `measures` means of what the kind measures besides (coverage,
    economy: 1 is the lower bound reached); `baseline` and `chance` exact shares.
    """

    name: str
    items: int
    exact: Rate
    valid: Rate
    violations: float
    measures: Mapping[str, float]
    baseline: float
    chance: float


def profile(items: Sequence[Item], rows: Sequence[EvalRow]) -> tuple[Band, ...]:
    """All items of one suite together and by difficulty, easiest first.

    `rows` are one version's, an item each. Raises ParseError when an item is no problem.
    """
    of = {row.item: row for row in rows}
    bands: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        bands[base.of(item.prompt).level(item.prompt, item.context)].append(item)
    kind = base.task(base.fields(items[0].prompt)[0]) if items else None
    names = [name for name in (kind.levels if kind else ()) if name in bands]
    parts = [(ALL, list(items)), *((name, bands[name]) for name in names)]
    return tuple(_band(name, part, [of[item.id] for item in part]) for name, part in parts)


def chance(item: Item) -> float:
    """The probability that uniform tokens solve a problem: one in (vocabulary - 2) for each token
    to be filled in, padding and the blank itself left out.
    """
    puzzle = base.of(item.prompt)
    blanks = int((puzzle.encode(item.prompt, item.context) == base.BLANK).sum())
    return math.exp(-blanks * math.log(puzzle.vocabulary - 2))


def _band(name: str, items: Sequence[Item], rows: Sequence[EvalRow]) -> Band:
    kinds = sorted(set(rows[0].metrics) - _SHOWN) if rows else []
    return Band(
        name=name,
        items=len(items),
        exact=metrics.rate(rows, "exact"),
        valid=metrics.rate(rows, "valid"),
        violations=fmean(
            _violations(item, row.output) for item, row in zip(items, rows, strict=True)
        ),
        measures={kind: metrics.mean(rows, kind) for kind in kinds},
        baseline=fmean(_baseline(item) for item in items),
        chance=fmean(map(chance, items)),
    )


def _violations(item: Item, output: str) -> int:
    found = base.of(item.prompt).check(item.prompt, item.context, output).findings
    return sum(finding.severity == "error" for finding in found)


def _baseline(item: Item) -> float:
    kind = base.task(base.fields(item.prompt)[0])
    output = base.of(item.prompt).baseline(item.prompt, item.context)
    return kind.compare(output, item.reference, asked(item))["exact"]
