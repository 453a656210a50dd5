"""How hard a group of prompts is: how often the champion failed on it, not how long it is.

d = 1 - (s + 1) / (n + 2) with n judged outputs of which s were accepted as they stood (Laplace's
rule): 1/2 where nobody judged, never 0 or 1. An output that somebody changed is a failure, however
well the change was received.

Learnability weighs by p(1 - p) with p = 1 - d: most where the champion succeeds half of the time,
least where it always or never does (Foster et al. 2025, arXiv 2502.12272).
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from honewheel.curate import reward
from honewheel.curate.calibration import Calibration
from honewheel.curate.rows import Row
from honewheel.curate.trust import heard
from honewheel.curate.weighting import Factors
from honewheel.records import Event

VERSION = f"1.{reward.VERSION}"

UNKNOWN = 0.5
FLOOR = 0.1  # of the greatest p(1 - p): nothing falls silent because it is mastered


class Tally:
    """Judged outputs by group, counted while events pass by.

    `champion` is a version's name ("artifacts@3"): where it has been judged in a group, only its
    outputs count there, elsewhere those of all versions. What the sources in `unheard` said is
    not heard. Independent of the events' order.
    """

    def __init__(
        self,
        champion: str | None = None,
        calibration: Calibration | None = None,
        unheard: Container[str] = (),
    ) -> None:
        self._champion = champion
        self._calibration = calibration
        self._unheard = unheard
        # Group -> (judged, accepted). A long log has many groups and few different pairs.
        self._pairs: dict[tuple[int, int], tuple[int, int]] = {}
        self._theirs: dict[str, tuple[int, int]] = {}
        self._everyone: dict[str, tuple[int, int]] = {}

    def add(self, event: Event) -> None:
        """Count an event, if somebody judged its output."""
        accepted = success(heard(event, self._unheard), self._calibration)
        if accepted is None or event.placement is None:
            return
        group = event.placement.group
        counts = [self._everyone]
        if self._champion is not None and event.response.version == self._champion:
            counts.append(self._theirs)
        for count in counts:
            judged, well = count.get(group, (0, 0))
            one = judged + 1, well + accepted
            count[group] = self._pairs.setdefault(one, one)

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events, each counted when it is read."""
        for event in events:
            self.add(event)
            yield event

    def difficulties(self, groups: Iterable[str] | None = None) -> dict[str, float]:
        """Group -> difficulty in (0, 1), for those of `groups` (None: all) with a judged output."""
        names = self._everyone if groups is None else self._everyone.keys() & groups
        found = {name: self._theirs.get(name) or self._everyone[name] for name in sorted(names)}
        return {name: round(1 - (well + 1) / (n + 2), 6) for name, (n, well) in found.items()}


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
