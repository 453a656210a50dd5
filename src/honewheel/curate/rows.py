"""One event at a time: the row it offers to a dataset, or why it offers none."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from honewheel.curate import contamination, reward
from honewheel.curate.text import canonical_target
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

VERSION = 1

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
        return self.example.events[0]

    @property
    def corrected(self) -> bool:
        return bool(self.source)

    @property
    def recency(self) -> tuple[datetime, str]:
        return self.at, self.event

    @property
    def target(self) -> str:
        return canonical_target(self.example.target)

    def as_role(self, role: Role) -> Row:
        return replace(self, example=replace(self.example, role=role))

    def drop(self, reason: str, detail: str) -> Dropped:
        return Dropped(event=self.event, reason=reason, detail=detail)


def example_id(task: str, prompt: str, context: Mapping[str, str], target: str) -> str:
    """`ex_` and 16 hex digits: the same question with the same answer, whenever it was recorded."""
    fields: Json = [task, prompt, dict(context), target]
    return f"ex_{digest(fields)[:16]}"


def gather(
    events: Sequence[Event],
    *,
    checks: Checker,
    min_value: float,
    used: frozenset[str],
    exclude_sources: Container[str] = (),
    value: Callable[[Event], float] = reward.value,
) -> tuple[list[Row], list[Dropped]]:
    """Every event, by id, as a row or as dropped. Raises InputError on an event given twice.

    What excluded sources said is not heard; an event of which nobody else spoke is dropped.
    """
    rows: list[Row] = []
    dropped: list[Dropped] = []
    previous: str | None = None
    for event in sorted(events, key=lambda event: event.id):
        if event.id == previous:
            raise InputError(f"Event {event.id} was given twice; a dataset takes each event once.")
        previous = event.id
        offer = _offer(event, heard(event, exclude_sources), checks, min_value, used, value)
        if isinstance(offer, Row):
            rows.append(offer)
        else:
            dropped.append(offer)
    return rows, dropped


def heard(event: Event, exclude_sources: Container[str]) -> Event:
    """The event without the feedback of these sources."""
    kept = tuple(item for item in event.feedback if item.source not in exclude_sources)
    return event if len(kept) == len(event.feedback) else replace(event, feedback=kept)


def without_leaks(rows: Sequence[Row], held_out: Sequence[Item]) -> tuple[list[Row], list[Dropped]]:
    """The rows that give away no held-out item, and the others with the item and the reason."""
    found: dict[str, tuple[str, str]] = {}
    for name, item, reason in contamination.leaks([row.example for row in rows], held_out):
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
        return Dropped(event=event.id, reason=reason, detail=detail)

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
    check = checks(response.task, target, response.context) if corrected else place.check
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
