"""How much say each source gets: less when it often contradicts the others.

A source agrees with the others on an output when its verdict has the sign of everything else that
is known: what other sources said, and a failed check (a passed one knows form, not intent). Rates
of agreement are posterior means. All sources together start from Beta(1, 1); each source starts
from the rate of all with the weight of `SHRINK` verdicts, so a newcomer is taken for a typical
source and a first contradiction costs little. A coin flipper's say falls to 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from honewheel.curate.evidence import PRIORS, entries, verdicts
from honewheel.records import Event

VERSION = 1

SHRINK = 20.0  # verdicts
_OPINION = 1.0  # logits that the others must reach to be an opinion; about one validator's word


def say(events: Iterable[Event]) -> dict[str, float]:
    """Source -> say in [0, 1], for the sources that contradict more often than all do.

    Any other source has a say of 1. Independent of the order of the events.
    """
    agreed: Counter[str] = Counter()
    met: Counter[str] = Counter()
    for event in events:
        for source, accepted in verdicts(event, ("person", "simulated", "validator")).items():
            opinion = _others(event, source)
            if abs(opinion) >= _OPINION:
                met[source] += 1
                agreed[source] += accepted == (opinion > 0)
    typical = (1 + agreed.total()) / (2 + met.total())
    if typical <= 0.5:
        return {}  # nobody agrees with anybody: no telling who is right
    found = {source: _say(agreed[source], met[source], typical) for source in sorted(met)}
    return {source: share for source, share in found.items() if share < 1}


def _say(agreed: int, met: int, typical: float) -> float:
    rate = (agreed + SHRINK * typical) / (met + SHRINK)
    return round(min(1.0, max(0.0, (2 * rate - 1) / (2 * typical - 1))), 6)


def _others(event: Event, source: str) -> float:
    """Logits of what all but the source say of the output, without a passed check."""
    rest = tuple(item for item in event.feedback if item.source != source)
    return math.fsum(
        PRIORS[column] * entry
        for column, entry in entries(replace(event, feedback=rest))
        if column != "check/score"
    )
