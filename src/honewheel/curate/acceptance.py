"""What users made of the outputs they got: P(accept) of the output itself, and whether it fell.

`reward.value` speaks of the target, which is the correction where somebody wrote one. Following a
model over time asks about its own output, for which a correction is bad news.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from honewheel.curate import reward
from honewheel.records import Event

ACCEPTED = 0.5  # P(accept) from which an output counts as accepted
FEWEST = 30  # outputs on each side, below which the normal approximation says nothing


def acceptance(event: Event) -> float | None:
    """P(a user accepted the output) in [0, 1]; None when nobody said anything that bears on it.

    A demonstration says nothing either: no model answered.
    """
    if event.response.demonstration or reward.target(event) is None:
        return None
    return reward.output_value(event)


def fall_p_value(before: Sequence[float], after: Sequence[float]) -> float | None:
    """One-sided p-value in [0, 1] that the share of accepted outputs did not fall.

    Two-proportion z-test with pooled variance; the arguments are values of `acceptance`. None
    below FEWEST outputs on either side.
    """
    if min(len(before), len(after)) < FEWEST:
        return None
    old, new = accepted_share(before), accepted_share(after)
    pooled = (old * len(before) + new * len(after)) / (len(before) + len(after))
    error = math.sqrt(pooled * (1 - pooled) * (1 / len(before) + 1 / len(after)))
    return 1.0 if error == 0 else NormalDist().cdf((new - old) / error)


def accepted_share(values: Sequence[float]) -> float:
    """Share of outputs that were accepted, in [0, 1]; `values` is not empty."""
    return sum(value >= ACCEPTED for value in values) / len(values)
