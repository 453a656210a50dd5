"""One event at a time: the row it offers to a dataset, or why it offers none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import TypeAlias

from honewheel.curate import contamination, questions, reward
from honewheel.curate.questions import Keys
from honewheel.curate.stock import Stock
from honewheel.curate.text import canonical_target
from honewheel.curate.trust import heard
from honewheel.errors import InputError
from honewheel.records import (
    Check,
    Dropped,
    Event,
    Example,
    Item,
    Json,
    Placement,
    Role,
    digest,
    utc,
)
from honewheel.tasks.asked import asked

VERSION = 1

# (task, text, context with the prompt) -> verdict
Checker: TypeAlias = Callable[[str, str, Mapping[str, str]], Check]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An example on its way into a dataset, with what the later stages decide by."""

    example: Example  # weight still 1
    exact: str
    source: str  # who wrote the target; "" for an accepted output
    at: datetime  # when the target was written
    similarity: float | None  # to the response that intake linked it to

    @property
    def event(self) -> str:
        """The event it came from."""
        return self.example.events[0]

    @property
    def corrected(self) -> bool:
        """Whether a person wrote the target, where else an output was accepted."""
        return bool(self.source)

    @property
    def recency(self) -> tuple[datetime, str]:
        """Later ones are larger."""
        return self.at, self.event

    @property
    def target(self) -> str:
        """The target as compared: two with the same say the same."""
        return canonical_target(self.example.target)

    def as_role(self, role: Role) -> Row:
        """The row as "new" or "replay"."""
        return replace(self, example=replace(self.example, role=role))

    def drop(self, reason: str, detail: str) -> Dropped:
        """Why it is not in the dataset."""
        return Dropped(event=self.event, reason=reason, detail=sys.intern(detail))


def example_id(task: str, prompt: str, context: Mapping[str, str], target: str) -> str:
    """`ex_` and 16 hex digits: the same question with the same answer, whenever it was recorded."""
    fields: Json = [task, prompt, dict(context), target]
    return f"ex_{digest(fields)[:16]}"


def gather(
    events: Iterable[Event],
    *,
    checks: Checker,
    min_value: float,
    used: frozenset[str],
    exclude_sources: Container[str] = (),
    value: Callable[[Event], float] = reward.value,
    stock: Stock[Row] | None = None,
) -> tuple[list[Row], list[Dropped]]:
    """Every event as a row or as dropped, each list by event id.

    What excluded sources said is not heard; an event of which nobody else spoke is dropped. Events
    are read once, in any order, and not kept. Corrections stay all; of accepted outputs those that
    `stock` keeps (None: all), the others are dropped as "not replayed". So memory grows with the
    corrections and, by about 200 bytes an event, with what is dropped.

    Raises InputError on an event given twice.
    """
    rows: list[Row] = []
    dropped: list[Dropped] = []
    for event in events:
        spoken = heard(event, exclude_sources)
        offer: Row | Dropped | None = _offer(event, spoken, checks, min_value, used, value)
        if stock is not None and isinstance(offer, Row) and not offer.corrected:
            offer = _evict(stock, offer)
        if isinstance(offer, Row):
            rows.append(offer)
        elif offer is not None:
            dropped.append(offer)
    rows += stock or ()
    rows.sort(key=lambda row: row.event)
    dropped.sort(key=lambda item: item.event)
    _require_once(rows, dropped)
    return rows, dropped


def _evict(stock: Stock[Row], row: Row) -> Dropped | None:
    """Put an accepted output into stock; what went for it, if anything did."""
    gone = stock.offer(row)
    if gone is None:
        return None
    return gone.drop("not replayed", f"{stock.most:,} others of its task were drawn before it")


def _require_once(rows: Sequence[Row], dropped: Sequence[Dropped]) -> None:
    names = sorted([row.event for row in rows] + [item.event for item in dropped])
    for name, following in pairwise(names):
        if name == following:
            raise InputError(f"Event {name} was given twice; a dataset takes each event once.")


def without_leaks(
    rows: Sequence[Row], held_out: Sequence[Item], known: Keys = questions.TEXT
) -> tuple[list[Row], list[Dropped]]:
    """The rows that give away no held-out item, and the others with the item and the reason."""
    found: dict[str, tuple[str, str]] = {}
    for name, item, reason in contamination.leaks([row.example for row in rows], held_out, known):
        found.setdefault(name, (item, reason))
    dropped = []
    for row in rows:
        if row.example.id in found:
            item, reason = found[row.example.id]
            dropped.append(row.drop("held out (suite)", f"item {item}: {reason}"))
    return [row for row in rows if row.example.id not in found], dropped


def _offer(
    whole: Event,
    event: Event,
    checks: Checker,
    min_value: float,
    used: frozenset[str],
    judge: Callable[[Event], float],
) -> Row | Dropped:
    """`event` is `whole` without what excluded sources said."""

    def refuse(reason: str, detail: str) -> Dropped:
        # Most of a long log is dropped, with few different words: equal ones are one string.
        return Dropped(event=event.id, reason=reason, detail=sys.intern(detail))

    place = event.placement
    if place is None:
        return refuse("not taken in", "intake has not judged and placed it yet")
    if place.quarantined is not None:
        return refuse("quarantined", place.quarantined)
    if place.split == "test":
        return refuse("held out (test)", f"group {place.group} is test material")
    picked = reward.target(event)
    if picked is None and reward.target(whole) is not None:
        return refuse("excluded source", "only sources in curate.exclude_sources spoke of it")
    if picked is None:
        return refuse("no feedback", "nobody said whether the output is right")
    origin, target = picked
    if origin == "output" and place.split == "val":
        return refuse("nothing new", "validation measures corrections only")
    response = event.response
    corrected = origin == "correction"
    check = checks(response.task, target, asked(response)) if corrected else place.check
    if not check.valid:
        error = next(item for item in check.findings if item.severity == "error")
        return refuse("invalid target", f"{origin}: {error.message}")
    value = judge(event)
    if value < min_value:
        return refuse("below quality", f"value {value:.2f} is below {min_value:g}")
    return _row(event, place, target, value, corrected, used)


def _row(
    event: Event,
    place: Placement,
    target: str,
    value: float,
    corrected: bool,
    used: frozenset[str],
) -> Row:
    response = event.response
    correction = event.correction
    written = correction if corrected else None
    name = example_id(response.task, response.prompt, response.context, target)
    example = Example(
        id=name,
        task=response.task,
        prompt=response.prompt,
        target=target,
        group=place.group,
        split=place.split,
        context=dict(sorted(response.context.items())),
        value=round(value, 6),
        role=_role(corrected, place, name in used),
        events=(event.id,),
        simulated=event.simulated,
    )
    return Row(
        example=example,
        exact=place.exact,
        source="" if written is None else written.source,
        at=utc(response.created_at if written is None else written.created_at),
        similarity=place.similarity,
    )


def _role(corrected: bool, place: Placement, used: bool) -> Role:
    # Validation rows are never trained on, so they cannot have been learnt.
    return "new" if corrected and (place.split == "val" or not used) else "replay"
