"""Which outputs a person should look at next: what is in doubt, unlike what is known already.

Doubt is how near P(accepted) is to one half, or how far checks and signals contradict each
other, whichever is more. It is multiplied by the distance to everything answered or queued
before (k-center: Sener & Savarese 2018, arXiv:1708.00489), so one question is not asked twice in
other words. A share of the queue is drawn uniformly instead and marked so: only answers to such
rows tell how good the outputs are on the whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from honewheel.curate import evidence, features, reward
from honewheel.curate.lots import lot
from honewheel.curate.selection import Embedder
from honewheel.errors import InputError
from honewheel.records import Event

NEWEST = 5_000  # unanswered responses that may be asked about, and answered ones compared with
Why = Literal["uncertain", "disagreement", "random"]
_HUMAN = ("person", "simulated")  # a simulated person answers as one; the flag travels with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One response to look at. `value` = P(accepted as it stands) and `score` are in [0, 1]."""

    event: str
    task: str
    why: Why
    score: float  # doubt x distance when it was queued; 0 for a random one
    value: float
    prompt: str
    output: str


@dataclass(frozen=True, slots=True)
class _Doubt:
    event: Event
    value: float
    uncertain: float
    disagreement: float

    @property
    def most(self) -> float:
        return max(self.uncertain, self.disagreement)

    def ask(self, score: float, *, drawn: bool = False) -> Ask:
        named: Why = "disagreement" if self.disagreement > self.uncertain else "uncertain"
        return Ask(
            event=self.event.id,
            task=self.event.response.task,
            why="random" if drawn else named,
            score=score,
            value=self.value,
            prompt=self.event.response.prompt,
            output=self.event.response.output,
        )


def queue(
    events: Iterable[Event],
    *,
    size: int,
    seed: int,
    random_share: float = 0.2,
    value: Callable[[Event], float] = reward.output_value,
    embed: Embedder = features.embed,
) -> tuple[Ask, ...]:
    """At most `size` responses that no person has spoken of, the most useful first.

    `random_share` of them, spread over the queue, are drawn uniformly by a hash of `seed`.
    `events` come oldest first and are read once; the newest NEWEST unanswered and answered ones
    are held. Quarantined and empty responses are not asked about. Raises InputError on a size
    below 1 or a share outside 0 .. 1.
    """
    if size < 1 or not 0 <= random_share <= 1:
        raise InputError(
            f"A queue of {size} with a random share of {random_share:g} cannot be made: the size "
            "is at least 1 and the share in 0 .. 1."
        )
    open_, answered = _sort_out(events)
    doubts = [_doubt(event, value) for event in open_]
    size = min(size, len(doubts))
    drawn = sorted(doubts, key=lambda one: lot(seed, one.event.id, size=16))
    drawn = drawn[: int(size * random_share + 0.5)]
    taken = {one.event.id for one in drawn}
    rest = [one for one in doubts if one.event.id not in taken]
    known = [*answered, *(one.event for one in drawn)]
    picked = _spread(rest, known, size - len(drawn), embed)
    return _interleave(picked, [one.ask(0.0, drawn=True) for one in drawn])


def _sort_out(events: Iterable[Event]) -> tuple[list[Event], list[Event]]:
    """The newest responses without and with an answer by a person."""
    open_: deque[Event] = deque(maxlen=NEWEST)
    answered: deque[Event] = deque(maxlen=NEWEST)
    for event in events:
        if any(item.source_kind in _HUMAN for item in event.feedback):
            answered.append(event)
        elif event.response.output.strip() and not _held(event):
            open_.append(event)
    return list(open_), list(answered)


def _held(event: Event) -> bool:
    return event.placement is not None and event.placement.quarantined is not None


def _doubt(event: Event, value: Callable[[Event], float]) -> _Doubt:
    chance = value(event)
    says = [
        said
        for item in evidence.newest(event.feedback)
        if (said := evidence.reading(item, event.response.output)) is not None
    ]
    if event.placement is not None:
        check = event.placement.check
        says.append(check.score if check.valid else 0.0)
    spread = max(says) - min(says) if says else 0.0
    return _Doubt(event, chance, 1 - 2 * abs(chance - 0.5), spread)


def _spread(
    rest: Sequence[_Doubt], known: Sequence[Event], size: int, embed: Embedder
) -> list[Ask]:
    """The `size` with the largest doubt x distance, each far from those before; ties to older."""
    if not rest or not size:
        return []
    vectors = embed([_text(one.event) for one in rest] + [_text(event) for event in known])
    mine, theirs = vectors[: len(rest)], vectors[len(rest) :]
    near = (mine @ theirs.T).max(axis=1) if known else np.zeros(len(rest))
    doubt = np.array([one.most for one in rest])
    left = np.ones(len(rest), dtype=bool)
    found = []
    for _ in range(size):
        # A copy of what is queued scores 0 and comes after everything that is not one.
        score = np.where(left, doubt * _distance(near) + 1e-9 * doubt, -1.0)
        best = int(score.argmax())
        left[best] = False
        found.append(rest[best].ask(float(doubt[best] * _distance(near)[best])))
        near = np.maximum(near, mine @ mine[best])
    return found


def _distance(near: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """1 - cosine, in [0, 1], rounded so that arithmetic of another machine decides the same."""
    return np.round(1 - near, 4).clip(0, 1).astype(np.float64)


def _text(event: Event) -> str:
    return f"{event.response.prompt}\n{event.response.output}"


def _interleave(picked: Sequence[Ask], drawn: Sequence[Ask]) -> tuple[Ask, ...]:
    """Both in their order, the drawn ones evenly spread: whoever stops early has answered some."""
    size = len(picked) + len(drawn)
    some, others = iter(drawn), iter(picked)
    turns = [(at * len(drawn) + size // 2) // size for at in range(size + 1)] if size else [0]
    return tuple(
        next(some) if after > before else next(others) for before, after in pairwise(turns)
    )
