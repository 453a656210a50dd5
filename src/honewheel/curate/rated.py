"""Outputs that were found good or bad by themselves: unary rows for KTO.

A thumb says nothing of any other prompt's output, so thumbs are never made into pairs: two thumbs
on *one* prompt are (see `preferences`), everything else stays as it was said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import fmean

from honewheel.curate import balance, evidence, reward
from honewheel.curate.preferences import Quality, usable
from honewheel.curate.text import canonical_target
from honewheel.records import Event, Json, Rated, digest, utc

VERSION = 1

GOOD = 0.6  # P(accept) from which an output is desirable, with thumbs and ratings above the middle
BAD = 0.4  # up to which it is undesirable, with thumbs and ratings below the middle
_UNARY = ("thumb", "rating")


def rated(
    events: Iterable[Event],
    *,
    as_of: datetime,
    half_life_days: float = 180.0,
    exclude_sources: Container[str] = (),
    quality: Quality = reward.output_value,
) -> tuple[Rated, ...]:
    """One row an output that somebody gave a thumb or a rating, by the first event's id.

    What was said and what is known of the output must agree: a thumb up on an invalid artifact,
    or a corrected one, gives no row; nor do two sources that contradict each other. Outputs of
    one prompt that differ in layout only are one row. See `preferences.pairs` for the arguments,
    and `balance.labels` for the weights.
    """
    same: defaultdict[tuple[str, str, str], list[Event]] = defaultdict(list)
    for event in usable(events, exclude_sources):
        place, output = event.placement, event.response.output
        assert place is not None  # usable
        if output.strip() and _said(event):
            same[event.response.task, place.exact, canonical_target(output)].append(event)
    found = [(row, _when(group)) for group in same.values() if (row := _row(group, quality))]
    siblings = Counter(row.group for row, _ in found)
    weighed = [
        replace(
            row,
            weight=reward.weight(
                (utc(as_of) - at).total_seconds() / 86_400, half_life_days, siblings[row.group] - 1
            ),
        )
        for row, at in found
    ]
    return tuple(sorted(balance.labels(weighed), key=lambda row: row.events))


def _said(event: Event) -> list[float]:
    """What thumbs and ratings read, the newest of each source and kind, in [0, 1]."""
    return [
        item.value
        for item in evidence.newest(event.feedback)
        if item.kind in _UNARY and item.value is not None
    ]


def _when(events: Sequence[Event]) -> datetime:
    """When an output was last spoken of."""
    return max(
        utc(item.created_at)
        for event in events
        for item in event.feedback
        if item.kind in _UNARY and item.value is not None
    )


def _row(events: Sequence[Event], quality: Quality) -> Rated | None:
    labels = {_label(event, quality) for event in events}
    first = events[0]
    place, response = first.placement, first.response
    label = labels.pop()
    if labels or label is None or place is None:
        return None
    context = dict(sorted(response.context.items()))
    fields: Json = [response.task, response.prompt, context, response.output, label]
    return Rated(
        id=f"rated_{digest(fields)[:16]}",
        task=response.task,
        prompt=response.prompt,
        output=response.output,
        desirable=label,
        group=place.group,
        split=place.split,
        context=context,
        events=tuple(event.id for event in events),
    )


def _label(event: Event, quality: Quality) -> bool | None:
    """Whether the output is desirable; None where the evidence does not agree."""
    said, known = fmean(_said(event)), quality(event)
    valid = event.placement is not None and event.placement.check.valid
    if said > 0.5 and known >= GOOD and valid:
        return True
    return False if said < 0.5 and known <= BAD else None
