"""Outputs that were found good or bad by themselves: unary rows for KTO.

A thumb says nothing of any other prompt's output, so thumbs are never made into pairs: two thumbs
on *one* prompt are (see `preferences`), everything else stays as it was said.

A long log holds a million thumbs, and KTO learns nothing more from the last of them: of each task
at most MOST liked and MOST disliked outputs are taken, drawn by hash.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from statistics import fmean

from honewheel.curate import balance, evidence, reward
from honewheel.curate.preferences import Quality, usable
from honewheel.curate.stock import Stock
from honewheel.curate.text import canonical_target
from honewheel.curate.trust import heard
from honewheel.records import Event, Json, Rated, digest, utc

VERSION = 2

GOOD = 0.6  # P(accept) from which an output is desirable, with thumbs and ratings above the middle
BAD = 0.4  # up to which it is undesirable, with thumbs and ratings below the middle
MOST = 20_000  # outputs of one task and one verdict that are taken
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
    for event in usable(_Drawn(events, exclude_sources), exclude_sources):
        same[_output(event)].append(event)
    found = [(row, _when(group)) for group in same.values() if (row := _row(group, quality))]
    weighed = balance.aged(found, as_of, half_life_days)
    return tuple(sorted(balance.labels(weighed), key=lambda row: row.events))


class _Drawn:
    """The events of the outputs that are taken; of the others a number each is looked at.

    Which those are depends neither on the order of the events nor on how many speak of an output.
    """

    def __init__(self, events: Iterable[Event], unheard: Container[str]) -> None:
        self._events = events
        self._unheard = unheard
        drawn: Stock[tuple[str, int]] = Stock(
            MOST, rank=lambda one: (one[1],), shelf=lambda one: one[0]
        )
        kept: set[tuple[str, int]] = set()
        for event in events:
            said = self._verdict(event)
            if (
                said is None
                or (one := (f"{event.response.task}\x1f{said}", _number(event))) in kept
            ):
                continue
            gone = drawn.offer(one)
            if gone is not None:
                kept.discard(gone)
            if gone != one:
                kept.add(one)
        self._kept = {number for _, number in kept}

    def __iter__(self) -> Iterator[Event]:
        """The events, read again."""
        for event in self._events:
            if self._verdict(event) is not None and _number(event) in self._kept:
                yield event

    def _verdict(self, event: Event) -> bool | None:
        """Whether thumbs and ratings like the output; None where there are none, or no output."""
        said = _said(heard(event, self._unheard))
        if not said or not event.response.output.strip():
            return None
        return fmean(said) > 0.5


def _output(event: Event) -> tuple[str, str, str]:
    """What was judged: outputs of one prompt that differ in layout only are the same."""
    exact = "" if event.placement is None else event.placement.exact
    return event.response.task, exact, canonical_target(event.response.output)


def _number(event: Event) -> int:
    whole = "\x1f".join(_output(event)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "big")


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
