"""What one comparison says of a guard, and how many prompts it takes to tell. Shares in [0, 1]."""

from __future__ import annotations

import math
from statistics import NormalDist

from honewheel.gate.evidence import Policy
from honewheel.records import Comparison, GuardState

POWER = 0.80


def state(guard: Comparison, margin: float, policy: Policy) -> GuardState:
    """What a guard's comparison says; see the package's text for the two rules."""
    if guard.groups < policy.min_items:
        return "unclear"
    if guard.bound > 0:
        return "better"
    allowed = margin + 1e-12  # 3 of 150 is 2 points, whatever binary fractions make of it
    if guard.metric == "valid":
        passed = guard.difference >= -allowed and guard.bound > -2 * margin
    else:
        passed = guard.bound > -margin
    if passed:
        return "not worse"
    return "worse" if guard.difference < -allowed and guard.high < 0 else "unclear"


def watch(one: Comparison, margin: float) -> GuardState:
    """What a watched category's comparison says: worse only where a loss is shown."""
    if one.bound > 0:
        return "better"
    if one.difference < -margin - 1e-12 and one.high < 0:
        return "worse"
    return "not worse" if one.bound > -margin else "unclear"


def needed(spread: float, gain: float, level: float) -> int:
    """Groups on which a true `gain` clears the one-sided `level` with 80 % power.

    n >= (z_level + z_power)^2 spread^2 / gain^2, for paired differences of that spread.
    """
    normal = NormalDist()
    z = normal.inv_cdf(level) + normal.inv_cdf(POWER)
    return math.ceil((z * spread / gain) ** 2)


def readable(one: Comparison) -> bool:
    """Whether there are items, and every number of the comparison is one."""
    numbers = (one.champion, one.challenger, one.difference, one.low, one.high, one.bound)
    return all(map(math.isfinite, (*numbers, one.spread))) and one.items > 0
