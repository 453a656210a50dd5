"""A version on trial in live traffic: outcomes of two arms, or one arm against a record.

An outcome is what became of one response: P(the user accepted it) in [0, 1]. Two bets run on the
same outcomes. One bets that the version on trial is *worse* than the champion, the other that it is
*not worse by the margin*; either may be looked at after every outcome. Pure: outcomes in, a new
`Trial` out, and the same outcomes in the same order give the same one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from honewheel.evaluate import betting
from honewheel.evaluate.betting import Capital

VERSION = f"1.{betting.VERSION}"

Arm: TypeAlias = Literal["champion", "trial"]
LONGEST_QUEUE = 32  # blocks of one arm that wait for the other; older ones are left out


@dataclass(frozen=True, slots=True)
class Record:
    """How often an arm was accepted."""

    count: int = 0
    total: float = 0.0

    def add(self, value: float) -> Record:
        """With one more outcome, `value` in [0, 1]."""
        return Record(self.count + 1, self.total + value)

    @property
    def mean(self) -> float | None:
        """Mean outcome in [0, 1]; None without any."""
        return self.total / self.count if self.count else None

    def floor(self, alpha: float) -> float:
        """A mean in [0, 1] that the true one is below with probability at most `alpha`.

        Hoeffding's inequality for independent outcomes in [0, 1].
        """
        if self.mean is None:
            return 0.0
        return max(0.0, self.mean - math.sqrt(-math.log(alpha) / (2 * self.count)))


@dataclass(frozen=True, slots=True)
class Side:
    """One arm: its record, the block being filled, and full blocks that wait (their means)."""

    block: int = 1
    record: Record = Record()
    filling: Record = Record()
    waiting: tuple[float, ...] = ()

    def add(self, value: float) -> Side:
        """With one more outcome in [0, 1]; a block that is full goes to those that wait."""
        record, filling = self.record.add(value), self.filling.add(value)
        if filling.count < self.block or filling.mean is None:
            return replace(self, record=record, filling=filling)
        waiting = (*self.waiting, filling.mean)[-LONGEST_QUEUE:]
        return Side(self.block, record, Record(), waiting)


@dataclass(frozen=True, slots=True)
class Trial:
    """Both arms and both bets.

    `margin` in (0, 1) is what "not worse" allows. `bar` is set where the champion's arm gets no
    more traffic: the mean that its record promises, in [0, 1].
    """

    margin: float
    champion: Side = Side()
    trial: Side = Side()
    worse: Capital = field(default_factory=Capital)
    fine: Capital = field(default_factory=Capital)
    bar: float | None = None

    def add(self, arm: Arm, value: float) -> Trial:
        """With one more outcome. Raises ValueError outside [0, 1]."""
        if not 0 <= value <= 1:
            raise ValueError(f"an outcome of {value!r} is outside 0 .. 1")
        if self.bar is not None:
            if arm == "champion":
                return replace(self, champion=self.champion.add(value))
            one = replace(self.trial, record=self.trial.record.add(value))
            return replace(self, trial=one)._bet(self.bar, value)
        if arm == "champion":
            return replace(self, champion=self.champion.add(value))._paired()
        return replace(self, trial=self.trial.add(value))._paired()

    def pair(self, champion: float, trial: float) -> Trial:
        """With the outcomes of both arms on one and the same request (shadow traffic)."""
        old = replace(self.champion, record=self.champion.record.add(champion))
        new = replace(self.trial, record=self.trial.record.add(trial))
        return replace(self, champion=old, trial=new)._bet(champion, trial)

    def _paired(self) -> Trial:
        """Bet on the oldest full block of each arm, where both have one."""
        if not (self.champion.waiting and self.trial.waiting):
            return self
        old, new = self.champion.waiting[0], self.trial.waiting[0]
        champion = replace(self.champion, waiting=self.champion.waiting[1:])
        trial = replace(self.trial, waiting=self.trial.waiting[1:])
        return replace(self, champion=champion, trial=trial)._bet(old, new)

    def _bet(self, champion: float, trial: float) -> Trial:
        return replace(
            self,
            worse=self.worse.add(champion - trial),
            fine=self.fine.add(trial - champion + self.margin),
        )


def two_arms(share: float, margin: float) -> Trial:
    """A trial that gets `share` in (0, 1) of the traffic, the champion the rest.

    Blocks of the busier arm hold as many outcomes as come for one of the other.
    """
    ratio = (1 - share) / share
    old, new = max(1, round(ratio)), max(1, round(1 / ratio))
    return Trial(margin, Side(old), Side(new), fine=_fine(margin))


def against(record: Record, alpha: float, margin: float) -> Trial:
    """A trial that gets all traffic, against what the champion before it had done.

    The bar is the lower bound of that record at alpha / 2, so that a rollback at alpha / 2 is wrong
    with probability at most alpha.
    """
    bar = record.floor(alpha / 2)
    return Trial(margin, Side(record=record), Side(), fine=_fine(margin), bar=bar)


def _fine(margin: float) -> Capital:
    return Capital(worst=1.0 - margin)


Word: TypeAlias = Literal["worse", "not worse", "unclear"]


def verdict(found: Trial, *, alpha: float, least: int) -> Word:
    """What the evidence says at level `alpha` in (0, 1).

    "not worse" needs `least` outcomes of the version on trial. "worse" does not: the level holds
    at any number.
    """
    if found.worse.refutes(alpha if found.bar is None else alpha / 2):
        return "worse"
    enough = found.trial.record.count >= least
    return "not worse" if enough and found.fine.refutes(alpha) else "unclear"


def dump(found: Trial) -> dict[str, Any]:
    """Plain data to keep between looks."""

    def side(one: Side) -> list[Any]:
        records = [one.record.count, one.record.total, one.filling.count, one.filling.total]
        return [one.block, *records, list(one.waiting)]

    def capital(one: Capital) -> list[Any]:
        return [one.worst, one.steps, list(one.logs), list(one.fresh), one.peak]

    return {
        "version": VERSION,
        "margin": found.margin,
        "champion": side(found.champion),
        "trial": side(found.trial),
        "worse": capital(found.worse),
        "fine": capital(found.fine),
        "bar": found.bar,
    }


def load(data: Any) -> Trial:
    """What `dump` kept."""

    def side(kept: Any) -> Side:
        block, count, total, filling, filled, waiting = kept
        return Side(block, Record(count, total), Record(filling, filled), tuple(waiting))

    def capital(kept: Any) -> Capital:
        worst, steps, logs, fresh, peak = kept
        return Capital(worst, steps, tuple(logs), tuple(fresh), peak)

    return Trial(
        margin=data["margin"],
        champion=side(data["champion"]),
        trial=side(data["trial"]),
        worse=capital(data["worse"]),
        fine=capital(data["fine"]),
        bar=data["bar"],
    )
