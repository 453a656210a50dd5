"""When a model has stopped getting better, and which of its states to keep.

A state replaces the best one only when its validation loss is lower by more than `min_delta`
standard errors of the paired per-item difference. Among states that cannot be told apart the
earliest wins: it has moved least from the base. Each is compared with the best and not with the one
before, so that many small steps down add up to an improvement.

A state with a loss that is not finite is never an improvement, and every finite one improves on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best state so far: its update, its loss per validation item, validations since."""

    step: int | None = None
    losses: tuple[float, ...] = ()
    stale: int = 0

    def after(self, step: int, losses: Sequence[float], min_delta: float) -> Best:
        """What is best once `losses` (nats per token, one an item) were seen at `step`."""
        if self.step is None or improves(self.losses, losses, min_delta):
            return Best(step=step, losses=tuple(losses))
        return replace(self, stale=self.stale + 1)


def improves(old: Sequence[float], new: Sequence[float], min_delta: float) -> bool:
    """Whether `new` is below `old` by more than `min_delta` standard errors (paired by item).

    One item alone has no standard error: any fall of its loss is an improvement.
    """
    if not all(map(math.isfinite, (*old, *new))):
        return all(map(math.isfinite, new))
    gains = [before - after for before, after in zip(old, new, strict=True)]
    error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return fmean(gains) > min_delta * error
