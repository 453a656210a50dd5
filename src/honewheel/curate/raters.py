"""How much say each source gets: less when it often contradicts the others.

Two meet where both judged the same output, and there they agree or contradict each other. A failed
check meets whoever accepts (a passed one knows form, not intent). How often a source agrees is a
posterior mean that starts, with the weight of `SHRINK` meetings, from how often the others agree
among themselves: a newcomer is taken for a typical source, a first contradiction costs little, and
nobody moves the measure that he is judged by. The most contradictory are judged first, and what
they say against others weighs what they themselves are worth. A coin flipper's say falls to 0, and
so does that of a source which contradicts everybody, however often; whom it contradicts keeps his.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from honewheel.curate.evidence import PRIORS, entries, verdicts
from honewheel.records import Event

VERSION = 2

SHRINK = 20.0  # meetings
_OPINION = 1.0  # logits that another must reach to have an opinion; about one validator's word
_CHECK = ""  # stands beside the sources, none of which has an empty name

_Meetings = dict[tuple[str, str], tuple[float, float]]  # (judge, other) -> agreed, met


def say(events: Iterable[Event]) -> dict[str, float]:
    """Source -> say in [0, 1], for the sources that contradict more often than others do.

    Any other source has a say of 1, and so has everybody where nobody agrees with anybody: no
    telling who is right. Independent of the order of the events.
    """
    met = _meetings(events)
    pairs: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for pair in sorted(met):
        for source in pair:
            pairs[source].append(pair)
    everything = _sum(met.values())
    judges = {judge for judge, _ in met}
    rates = {one: _rates(one, met, pairs[one], everything) for one in judges}
    found = {}
    for source in sorted(judges, key=lambda one: (rates[one], one)):
        found[source] = share = _share(*_rates(source, met, pairs[source], everything))
        agreed, all_met = _sum(met[pair] for pair in pairs[source])
        everything = everything[0] - (1 - share) * agreed, everything[1] - (1 - share) * all_met
        met |= {pair: (share * met[pair][0], share * met[pair][1]) for pair in pairs[source]}
    return {source: found[source] for source in sorted(found) if found[source] < 1}


def _rates(
    source: str,
    met: _Meetings,
    pairs: Iterable[tuple[str, str]],
    everything: tuple[float, float],
) -> tuple[float, float]:
    """How often `source` agrees, and the others do among themselves; `pairs` are those it is in."""
    its_own = _sum(met[pair] for pair in pairs if pair[0] == source)
    with_it = _sum(met[pair] for pair in pairs)
    typical = (1 + everything[0] - with_it[0]) / (2 + everything[1] - with_it[1])
    return (its_own[0] + SHRINK * typical) / (its_own[1] + SHRINK), typical


def _share(rate: float, typical: float) -> float:
    if typical <= 0.5:
        return 1.0
    return round(min(1.0, max(0.0, (2 * rate - 1) / (2 * typical - 1))), 6)


def _sum(meetings: Iterable[tuple[float, float]]) -> tuple[float, float]:
    listed = list(meetings)
    return math.fsum(agreed for agreed, _ in listed), math.fsum(met for _, met in listed)


def _meetings(events: Iterable[Event]) -> _Meetings:
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for event in events:
        judges = verdicts(event, ("person", "simulated", "validator"))
        if not judges:
            continue
        opinions = _opinions(event)
        for judge, accepted in judges.items():
            for other, accepts in opinions.items():
                if other != judge:
                    pair = found[judge, other]
                    pair[0] += accepted == accepts
                    pair[1] += 1
    return {pair: (agreed, met) for pair, (agreed, met) in found.items()}


def _opinions(event: Event) -> dict[str, bool]:
    """Source -> whether it finds the output good, of those who have an opinion."""
    by_source: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
    unchecked = replace(event, placement=None)
    for source in {item.source for item in event.feedback}:
        said = tuple(item for item in event.feedback if item.source == source)
        by_source[source] += entries(replace(unchecked, feedback=said))
    by_source[_CHECK] += (
        (column, entry)
        for column, entry in entries(replace(event, feedback=()))
        if column != "check/score"
    )
    logits = {
        source: math.fsum(PRIORS[column] * entry for column, entry in told)
        for source, told in by_source.items()
    }
    return {source: one > 0 for source, one in logits.items() if abs(one) >= _OPINION}
