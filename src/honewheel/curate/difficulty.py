"""How hard a group of prompts is: how often the champion failed on it, not how long it is.

d = 1 - (s + 1) / (n + 2) with n judged outputs of which s were accepted as they stood (Laplace's
rule): 1/2 where nobody judged, never 0 or 1. An output that somebody changed is a failure, however
well the change was received.

Learnability weighs by p(1 - p) with p = 1 - d: most where the champion succeeds half of the time,
least where it always or never does (Foster et al. 2025, arXiv 2502.12272).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from honewheel.curate import reward
from honewheel.curate.calibration import Calibration
from honewheel.curate.rows import Row
from honewheel.curate.weighting import Factors
from honewheel.records import Event

VERSION = f"1.{reward.VERSION}"

UNKNOWN = 0.5
FLOOR = 0.1  # of the greatest p(1 - p): nothing falls silent because it is mastered


@dataclass(slots=True)
class _Tally:
    judged: int = 0
    accepted: int = 0

    @property
    def difficulty(self) -> float:
        return round(1 - (self.accepted + 1) / (self.judged + 2), 6)


def by_group(
    events: Iterable[Event], champion: str | None = None, calibration: Calibration | None = None
) -> dict[str, float]:
    """Group -> difficulty in (0, 1), for the groups with a judged output.

    `champion` is a version's name ("artifacts@3"): where it has been judged in a group, only its
    outputs count there, elsewhere those of all versions. Independent of the events' order.
    """
    theirs: dict[str, _Tally] = {}
    everyone: dict[str, _Tally] = {}
    for event in events:
        accepted = success(event, calibration)
        if accepted is None or event.placement is None:
            continue
        tallies = [everyone]
        if champion is not None and event.response.version == champion:
            tallies.append(theirs)
        for tally in tallies:
            one = tally.setdefault(event.placement.group, _Tally())
            one.judged += 1
            one.accepted += accepted
    return {group: one.difficulty for group, one in sorted((everyone | theirs).items())}


def success(event: Event, calibration: Calibration | None = None) -> bool | None:
    """Whether the output was accepted as it stands; None when nobody judged it.

    None for a demonstration too: no model answered.
    """
    picked = reward.target(event)
    if picked is None or event.response.demonstration:
        return None
    return picked[0] == "output" and reward.output_value(event, calibration) >= 0.5


def learnability(rows: Sequence[Row], difficulties: Mapping[str, float]) -> Factors:
    """p(1 - p) of each row's group, at least a tenth of the greatest possible, with mean 1."""
    raw = []
    for row in rows:
        p = 1 - difficulties.get(row.example.group, UNKNOWN)
        raw.append(max(p * (1 - p), FLOOR * 0.25))
    mean = math.fsum(raw) / len(raw) if raw else 1.0
    return Factors(values=tuple(one / mean for one in raw))
