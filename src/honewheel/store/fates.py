"""Why events are not in a model's datasets: written down where it changes, read back for any.

A long log leaves out a million events at every turn, nearly all of them as the turn before did. So
a row says what became of an event *from a dataset on*: the answer for one dataset is the event's
newest row up to that dataset's number, one step in an index. An event that is left out no more
gets a row without a reason.

Some sentences count ("8,571 of 60,000 known rows were drawn"): the same for every event they speak
of, another at each turn. Those stand once with the dataset, and the row holds their wording with
the numbers taken out.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, insert, select

from honewheel.records import Dropped, Json
from honewheel.store import tables
from honewheel.store.db import CHUNK

_fate = tables.fate

SHOWN = 3  # events named with each reason
SHARED = 100  # events from which a sentence stands with the dataset
_PAGE = 10_000
_NUMBER = re.compile(r"\d[\d.,]*")
_GAP = "\x1a"  # "substitute", where a number was: no sentence holds it

Sentences = Mapping[tuple[str, str], str]  # (reason, wording) -> the dataset's own sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """How many events a dataset leaves out for one reason, and the first few of them by id."""

    reason: str
    count: int
    examples: tuple[Dropped, ...] = ()


def summary(dropped: Sequence[Dropped]) -> Json:
    """What a dataset's own row keeps: its reasons, the most frequent first, and its sentences."""
    count = Counter(item.reason for item in dropped)
    first: defaultdict[str, list[Json]] = defaultdict(list)
    for item in dropped:
        if len(first[item.reason]) < SHOWN:
            first[item.reason].append([item.event, item.detail])
    return {
        "reasons": [[reason, n, first[reason]] for reason, n in count.most_common()],
        "sentences": [[*key, detail] for key, detail in sorted(_sentences(dropped).items())],
    }


def reasons(stored: Any) -> tuple[Reason, ...]:
    """The reasons in a `summary`."""
    return tuple(
        Reason(
            reason=reason,
            count=count,
            examples=tuple(Dropped(event=name, reason=reason, detail=text) for name, text in first),
        )
        for reason, count, first in stored["reasons"]
    )


def write(connection: Connection, model: str, number: int, dropped: Sequence[Dropped]) -> None:
    """Record what changed for the events of `model` with its dataset `number`."""
    sentences = _sentences(dropped)
    now = {item.event: item for item in dropped}
    changed: list[dict[str, Any]] = []
    for event, reason, detail in _latest(connection, model, number):
        item = now.pop(event, None)
        if item is None and reason:
            changed.append(_row(model, event, number, "", ""))
        elif item is not None and (wording := _wording(item, sentences)) != (reason, detail):
            changed.append(_row(model, event, number, *wording))
    fresh = (_row(model, item.event, number, *_wording(item, sentences)) for item in now.values())
    for rows in (iter(changed), fresh):
        while some := list(islice(rows, CHUNK)):
            connection.execute(insert(_fate), some)


def read(connection: Connection, model: str, number: int, stored: Any) -> list[Dropped]:
    """Every event that dataset `number` of `model` leaves out, by event id."""
    sentences = _stored_sentences(stored)
    found = [
        _record(event, reason, detail, sentences)
        for event, reason, detail in _latest(connection, model, number)
        if reason
    ]
    return sorted(found, key=lambda item: item.event)


def of(connection: Connection, model: str, number: int, stored: Any, event: str) -> Dropped | None:
    """Why dataset `number` of `model` leaves out one event; None when it does not."""
    query = (
        select(_fate.c.reason, _fate.c.detail)
        .where(_fate.c.model == model, _fate.c.event == event, _fate.c.number <= number)
        .order_by(_fate.c.number.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None or not row.reason:
        return None
    return _record(event, row.reason, row.detail, _stored_sentences(stored))


def _latest(connection: Connection, model: str, number: int) -> Iterator[tuple[str, str, str]]:
    """(event, reason, detail) of each event's newest row up to `number`, by event."""
    columns = (_fate.c.event, _fate.c.number, _fate.c.reason, _fate.c.detail)
    query = (
        select(*columns)
        .where(_fate.c.model == model, _fate.c.number <= number)
        .order_by(_fate.c.event, _fate.c.number)
        .execution_options(yield_per=_PAGE)
    )
    rows: Iterable[Any] = connection.execute(query)
    for event, same in groupby(rows, key=itemgetter(0)):
        *_, (_, _, reason, detail) = same
        yield event, reason, detail


def _sentences(dropped: Iterable[Dropped]) -> Sentences:
    """Sentences that speak of many events, where no other differs from them in numbers only."""
    count = Counter((item.reason, item.detail) for item in dropped)
    same: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for reason, detail in count:
        same[reason, _NUMBER.sub(_GAP, detail)].append(detail)
    return {
        key: details[0]
        for key, details in same.items()
        if len(details) == 1 and _GAP in key[1] and count[key[0], details[0]] >= SHARED
    }


def _stored_sentences(stored: Any) -> Sentences:
    return {(reason, wording): detail for reason, wording, detail in stored["sentences"]}


def _wording(item: Dropped, sentences: Sentences) -> tuple[str, str]:
    key = item.reason, _NUMBER.sub(_GAP, item.detail)
    return key if sentences.get(key) == item.detail else (item.reason, item.detail)


def _record(event: str, reason: str, detail: str, sentences: Sentences) -> Dropped:
    told = sentences.get((reason, detail), detail)
    return Dropped(event=event, reason=sys.intern(reason), detail=sys.intern(told))


def _row(model: str, event: str, number: int, reason: str, detail: str) -> dict[str, Any]:
    return {
        "model": model,
        "event": event,
        "number": number,
        "reason": reason,
        "detail": detail,
    }
