"""What was said of two outputs for one prompt: corrections, comparisons, and who contradicts whom.

A statement says that one text is better than another; texts that differ in layout only are one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from honewheel.curate.text import canonical_target
from honewheel.records import Dropped, Event, utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`winner` is better than `loser` for the prompt of `event`."""

    origin: str
    winner: str
    loser: str
    event: Event
    events: tuple[str, ...]
    at: datetime
    source: str

    @property
    def ends(self) -> tuple[str, str]:
        """Winner and loser as compared."""
        return canonical_target(self.winner), canonical_target(self.loser)

    def refuse(self, reason: str, detail: str) -> Dropped:
        """Why no pair comes of it."""
        return Dropped(event=self.events[0], reason=reason, detail=detail)


def corrections(events: Iterable[Event]) -> Iterator[Statement]:
    """What somebody wrote against what the model wrote, where the two differ."""
    for event in events:
        said = event.correction
        if said is None or said.text is None:
            continue
        if _differ(said.text, event.response.output):
            yield Statement(
                origin="correction",
                winner=said.text,
                loser=event.response.output,
                event=event,
                events=(event.id,),
                at=utc(said.created_at),
                source=said.source,
            )


def comparisons(events: Sequence[Event]) -> tuple[list[Statement], list[Dropped]]:
    """What sources preferred among these outputs: of two answers of one source the newest."""
    known = {event.id: event for event in events}
    newest: dict[tuple[str, frozenset[str]], Statement] = {}
    refused: list[Dropped] = []
    for event in events:
        for said in event.feedback:
            if said.kind != "preferred" or said.text is None:
                continue
            rival = known.get(said.text)
            if rival is None or not together(event, rival):
                detail = f"{said.text} is no usable response to the same prompt and context"
                refused.append(Dropped(event=event.id, reason="unusable comparison", detail=detail))
            elif _differ(event.response.output, rival.response.output):
                edge = Statement(
                    origin="comparison",
                    winner=event.response.output,
                    loser=rival.response.output,
                    event=event,
                    events=(event.id, rival.id),
                    at=utc(said.created_at),
                    source=said.source,
                )
                key = said.source, frozenset(edge.ends)
                if key not in newest or _later(edge, newest[key]):
                    newest[key] = edge
    return list(newest.values()), refused


def together(one: Event, other: Event) -> bool:
    """Whether two placed events are of one group and split."""
    left, right = one.placement, other.placement
    assert left is not None  # both are usable
    assert right is not None
    return (left.group, left.split) == (right.group, right.split)


def _later(edge: Statement, than: Statement) -> bool:
    return (edge.at, edge.events) > (than.at, than.events)


def _differ(one: str, other: str) -> bool:
    """Whether both texts say something, and not the same but for layout."""
    left, right = canonical_target(one), canonical_target(other)
    return bool(left and right and left != right)


def graph(statements: Iterable[Statement]) -> dict[str, set[str]]:
    """Canonical text -> the texts it was said to be better than."""
    beats: defaultdict[str, set[str]] = defaultdict(set)
    for one in statements:
        winner, loser = one.ends
        beats[winner].add(loser)
    return dict(beats)


def reaches(beats: Mapping[str, set[str]], start: str, goal: str) -> bool:
    """Whether `start` is better than `goal`, directly or through others."""
    seen, waiting = {start}, [start]
    while waiting:
        for other in beats.get(waiting.pop(), ()):
            if other == goal:
                return True
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return False
