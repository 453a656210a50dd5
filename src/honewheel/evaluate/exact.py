"""Two versions on tasks with one right answer: how many they solve, and which they gained or lost.

A mean score says little of answers that are right or wrong; what counts is how many problems the
challenger solves that the champion did not, and the other way round. McNemar's test (1947) asks
whether the two numbers differ by more than chance; it is taken exactly (binomial), since a
handful of changed answers is the usual case. Wilson's interval goes with each share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from honewheel.errors import InputError
from honewheel.evaluate import metrics
from honewheel.evaluate.metrics import Rate
from honewheel.records import EvalRow

LEVEL = 0.05  # of the test: above it nothing measurable changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """`fixed` items only the challenger solves, `broken` only the champion; `p` two-sided."""

    items: int
    champion: Rate
    challenger: Rate
    fixed: int
    broken: int
    p: float

    @property
    def told(self) -> str:
        """The whole of it in a sentence without its end."""
        counted = (
            f"exact answers {_share(self.champion)} -> {_share(self.challenger)} of {self.items:,} "
            f"items; {self.fixed} fixed, {self.broken} broken"
        )
        if self.p >= LEVEL:
            return f"{counted}: no measurable change (McNemar p = {self.p:.2f})"
        return f"{counted} (McNemar p {'< 0.001' if self.p < 0.001 else f'= {self.p:.3f}'})"


def flips(challenger: Sequence[EvalRow], champion: Sequence[EvalRow]) -> Flips:
    """What changed in the metric `exact` of the items that both answered.

    Raises:
        InputError: the two answered different items.
        NotEnoughData: no items.
    """
    ours = {(row.suite, row.item): row.metrics["exact"] >= 1 for row in challenger}
    theirs = {(row.suite, row.item): row.metrics["exact"] >= 1 for row in champion}
    if ours.keys() != theirs.keys():
        raise InputError(
            f"The versions answered different items ({len(ours)} and {len(theirs)}). Evaluate "
            "both on the same suite."
        )
    fixed = sum(ours[key] and not theirs[key] for key in ours)
    broken = sum(theirs[key] and not ours[key] for key in ours)
    return Flips(
        items=len(ours),
        champion=metrics.rate(champion, "exact"),
        challenger=metrics.rate(challenger, "exact"),
        fixed=fixed,
        broken=broken,
        p=mcnemar(fixed, broken),
    )


def mcnemar(fixed: int, broken: int) -> float:
    """Two-sided exact p that so uneven a split of the changed items is chance.

    >>> mcnemar(10, 0)
    0.001953125
    """
    if fixed < 0 or broken < 0:
        raise InputError(f"{fixed} fixed and {broken} broken items are no counts.")
    changed = fixed + broken
    tail = sum(comb(changed, at) for at in range(min(fixed, broken) + 1))
    return min(1.0, float(2 * tail / 2**changed))


def _share(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
