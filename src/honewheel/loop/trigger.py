"""When a cycle is due, and why or why not: a pure function of sums, settings and the time.

A cycle is **wanted** when one of these holds. Waiting are corrections no finished cycle has seen;
they are counted in effective examples, so that many near-copies or very uneven ages count little.

- *new*: at least `min_new` wait, over all tasks;
- *rare*: at least `min_stale` wait of one rare task, one with less than `rare_below` of all the
  feedback ever recorded for the model. (Its share of the new feedback alone could not serve: while
  fewer than `min_new` wait, a task below a tenth of them has too few to ask for anything.)
- *stale*: at least `min_stale` wait, and the oldest has waited for `stale_days`;
- *drift*: an alarm was raised, by whoever measures drift, and anything waits at all.

With `every_days` the calendar takes the place of the first three: a cycle is wanted that long after
the last finished one (before the first: after the oldest example), if anything waits.

It is **held back** by the cooldown after the last cycle, quiet hours, the budget of the week, and a
test set too small to show the gain that is hoped for: such a cycle could only end undecided. How
many prompts that takes is known once a cycle has measured how much differences vary; before, a
guess would keep a young project waiting for months, so only the gate's own minimum holds it back. A
cycle that was cut short is resumed whatever waits; only quiet hours hold that back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import NormalDist
from typing import Literal

from honewheel import gate
from honewheel.loop.quiet import quiet_hours
from honewheel.records import utc
from honewheel.settings import Trigger

# Variance of the paired difference until a cycle has measured it: two versions that disagree on
# 42 % of right-or-wrong items. Scores in between vary less, so what it tells to be detectable is
# too large rather than too small.
ASSUMED_VARIANCE = 0.42
# A spread below this is that of a change that was the same on every item: it tells nothing of the
# next challenger.
LEAST_SPREAD = 1e-6
WEEK = timedelta(days=7)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sums:
    """Running sums of the examples that wait; adding one is O(1) and the order does not matter.

    An example here is a group of near-copies: they are one observation, however many there are.
    """

    count: int = 0
    weight: float = 0.0
    squares: float = 0.0
    oldest: datetime | None = None

    def add(self, weight: float, at: datetime) -> Sums:
        """With one more example of `weight` > 0, written at `at`."""
        return self | Sums(1, weight, weight * weight, utc(at))

    def __or__(self, other: Sums) -> Sums:
        ages = [at for at in (self.oldest, other.oldest) if at is not None]
        return Sums(
            self.count + other.count,
            self.weight + other.weight,
            self.squares + other.squares,
            min(ages, default=None),
        )

    @property
    def effective(self) -> float:
        """Effective sample size (sum w)^2 / sum w^2, in [1, count] or 0 (Kish 1965).

        >>> at = datetime(2026, 1, 1, tzinfo=UTC)
        >>> Sums().add(1.0, at).add(1.0, at).effective
        2.0
        """
        if not self.squares:
            return 0.0
        # Rounded, so that 200 equal weights are 200 whatever their sums lose in the last digit.
        return min(round(self.weight * self.weight / self.squares, 6), float(self.count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What the gate will measure on: independent prompts, and how their differences vary.

    `spread` is the standard deviation of the paired differences in the last cycle that had any;
    `level` and `least` are the gate's benefit_level and min_items.
    """

    prompts: int
    spread: float | None = None
    level: float = 0.80
    least: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything the decision rests on besides settings and time."""

    waiting: Mapping[str, Sums]  # by task
    panel: Panel
    recorded: Mapping[str, int] = field(default_factory=dict)  # all feedback rows so far, by task
    drift: tuple[str, ...] = ()  # alarms in words; none: no alarm
    starts: tuple[datetime, ...] = ()  # cycles of this model, those of the last week at least
    ended: datetime | None = None  # when the last one did, however it went
    done: datetime | None = None  # when the last one that reached a verdict did
    unfinished: Literal["", "running", "cut short"] = ""
    paused: datetime | None = None  # until when, after a version was taken back in live traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Whether a gain (in [0, 1]) would show: the prompts there are and those it takes.

    `detectable` is the smallest gain that the prompts there are would show; None below `least`,
    the gate's own minimum. An `assumed` variance is a guess that holds nothing back.
    """

    gain: float
    prompts: int
    needed: int
    variance: float
    assumed: bool
    detectable: float | None
    least: int

    @property
    def missing(self) -> int:
        """Prompts without which a cycle is refused."""
        return max(0, (self.least if self.assumed else self.needed) - self.prompts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The answer. `examples` wait, `effective` of them by weight.

    `next_look` is the earliest time at which the answer becomes yes though nothing new arrives;
    None when it is yes now, or when only new feedback, prompts or settings can change it.
    """

    fire: bool
    reasons: tuple[str, ...]
    examples: int
    effective: float
    next_look: datetime | None
    power: Power
    schedule: str | None = None  # of the model's schedules, the one that this speaks of


def due(state: State, settings: Trigger, now: datetime) -> Due:
    """Whether to run a cycle now. The same state, settings and time give the same answer.

    Raises ConfigError when quiet_hours or timezone cannot be read.
    """
    now, quiet = utc(now), quiet_hours(settings)
    total = combine(state.waiting.values())
    found = power(state.panel, settings.hoped_gain / 100)
    wanted, since = _wanted(state, total, settings, now)
    held, until = _held(state, found, settings, now)
    opening = quiet.over(max(now, since, until)) if max(since, until) < _NEVER else None
    if quiet.over(now) > now:
        held.append(f"quiet hours ({settings.quiet_hours} {settings.timezone})")
    fire = bool(wanted) and not held
    return Due(
        fire=fire,
        reasons=tuple(wanted if fire else [*held, *(wanted or _short(total, settings, now))]),
        examples=total.count,
        effective=total.effective,
        next_look=None if fire else opening,
        power=found,
    )


def power(panel: Panel, gain: float) -> Power:
    """Prompts needed to see `gain` (in (0, 1)) at the gate's level with 80 % power.

    n >= (z_level + z_power)^2 variance / gain^2 for paired differences, and never below the
    gate's own least.
    """
    measured = panel.spread is not None and panel.spread >= LEAST_SPREAD
    spread = panel.spread if measured and panel.spread else math.sqrt(ASSUMED_VARIANCE)
    normal = NormalDist()
    z = normal.inv_cdf(panel.level) + normal.inv_cdf(gate.POWER)
    enough = panel.prompts >= panel.least
    return Power(
        gain=gain,
        prompts=panel.prompts,
        needed=max(gate.needed(spread, gain, panel.level), panel.least),
        variance=spread * spread,
        assumed=not measured,
        detectable=z * spread / math.sqrt(panel.prompts) if enough else None,
        least=panel.least,
    )


def combine(parts: Iterable[Sums]) -> Sums:
    """The sums of all parts together."""
    total = Sums()
    for part in parts:
        total = total | part
    return total


# --- wanted -------------------------------------------------------------------------------------


def _wanted(
    state: State, total: Sums, settings: Trigger, now: datetime
) -> tuple[list[str], datetime]:
    """Reasons to run a cycle now, and the time from which there is one (_NEVER: it needs more)."""
    if state.unfinished == "cut short":
        return ["the last cycle was cut short: it goes on where it stopped"], now
    if settings.every_days is not None:
        return _by_calendar(state, total, settings.every_days, now)
    found = _enough(state, total, settings)
    stale_at = _NEVER
    if total.oldest is not None and total.effective >= settings.min_stale:
        stale_at = _later(total.oldest, days=settings.stale_days)
        if stale_at <= now:
            days = (now - total.oldest) / timedelta(days=1)
            found.append(
                f"the oldest of {total.effective:.0f} effective new examples has waited "
                f"{days:.0f} days (stale_days {settings.stale_days:g})"
            )
    return found, now if found else stale_at


def _enough(state: State, total: Sums, settings: Trigger) -> list[str]:
    """Reasons that do not wait for the clock."""
    found = []
    if total.effective >= settings.min_new:
        found.append(
            f"{total.effective:.0f} effective new examples wait (min_new {settings.min_new:g})"
        )
    everything = sum(state.recorded.values())
    for task, sums in sorted(state.waiting.items()):
        rows = state.recorded.get(task, 0)
        rare = rows < settings.rare_below * everything
        if rare and sums.effective >= settings.min_stale:
            found.append(
                f"{sums.effective:.0f} effective new examples of {task} wait, a rare task with "
                f"{rows:,} of {everything:,} feedback rows (min_stale {settings.min_stale:g})"
            )
    return found + _drifted(state, total)


def _drifted(state: State, total: Sums) -> list[str]:
    return [f"drift: {alarm}" for alarm in state.drift] if total.count else []


def _by_calendar(
    state: State, total: Sums, days: float, now: datetime
) -> tuple[list[str], datetime]:
    """`_wanted` with every_days: so long after the last finished cycle, if anything waits."""
    since = state.done or total.oldest
    if not total.count or since is None:
        return [], _NEVER
    at, found = _later(since, days=days), _drifted(state, total)
    if at <= now:
        passed = (now - utc(since)) / timedelta(days=1)
        what = "the last finished cycle" if state.done else "the oldest new example"
        found.append(f"{what} was {passed:.0f} days ago (every_days {days:g})")
    return found, now if found else at


def _short(total: Sums, settings: Trigger, now: datetime) -> list[str]:
    """Why no cycle is wanted."""
    told = f"{total.count:,} new examples wait, {total.effective:.0f} effective"
    if total.oldest is not None:
        told += f", the oldest {max(0.0, (now - total.oldest) / timedelta(days=1)):.1f} days"
    if settings.every_days is not None:
        return [f"{told}; one cycle in {settings.every_days:g} days takes any that wait"]
    return [
        f"{told}; a cycle takes {settings.min_new:g}, or {settings.min_stale:g} that are of a rare "
        f"task or {settings.stale_days:g} days old"
    ]


# --- held back ----------------------------------------------------------------------------------


def _held(
    state: State, found: Power, settings: Trigger, now: datetime
) -> tuple[list[str], datetime]:
    """What forbids a cycle now, quiet hours aside, and until when (_NEVER: time does not help)."""
    if state.unfinished == "running":
        return ["a cycle of this model is running"], _NEVER
    if state.unfinished == "cut short":
        return [], now
    held, until = [], now
    if state.ended is not None:
        over = _later(state.ended, hours=settings.cooldown_hours)
        if over > now:
            held.append(f"cooldown of {settings.cooldown_hours:g} hours until {_shown(over)}")
            until = max(until, over)
    if state.paused is not None and utc(state.paused) > now:
        held.append(f"a version was rolled back; watch.cooldown_hours ends {_shown(state.paused)}")
        until = max(until, utc(state.paused))
    free = _budget_free(state.starts, settings.max_cycles_per_week)
    if free > now:
        held.append(
            f"{settings.max_cycles_per_week} cycles in 7 days are the budget; "
            f"the next is free on {_shown(free)}"
        )
        until = max(until, free)
    if found.missing:
        held.append(refusal(found))
        until = _NEVER
    return held, until


def refusal(found: Power) -> str:
    """Why a test set is too small, with how many items are missing and what would help."""
    if found.prompts < found.least:
        return (
            f"the test set is too small to decide anything: {found.missing:,} more items needed "
            f"({found.prompts + found.missing:,} independent prompts, there are "
            f"{found.prompts:,}). Import a frozen suite (honewheel suite import FILE --task "
            "TASK), or record more requests: one in ten is held out"
        )
    other = (
        f"or set hoped_gain to {math.ceil(1000 * found.detectable) / 10:g} or more, which they show"
        if found.detectable is not None and found.detectable < 1
        else "or record more requests: one in ten is held out"
    )
    return (
        f"the test set is too small to see an effect of {100 * found.gain:g} points: "
        f"{found.missing:,} more items needed ({found.needed:,} independent prompts, there are "
        f"{found.prompts:,}; variance of the paired difference {found.variance:.2g}, measured by "
        "the last cycle). "
        f"Import a frozen suite (honewheel suite import FILE --task TASK), {other}"
    )


def _budget_free(starts: Iterable[datetime], most: int | None) -> datetime:
    """When fewer than `most` cycles have started within the week before."""
    ordered = sorted(utc(start) for start in starts)
    if most is None or len(ordered) < most:
        return datetime.min.replace(tzinfo=UTC)
    return ordered[-most] + WEEK


def _later(at: datetime, *, days: float = 0.0, hours: float = 0.0) -> datetime:
    """`at` and so much later; _NEVER where the calendar ends before."""
    try:
        found = utc(at) + timedelta(days=days, hours=hours)
    except OverflowError:
        return _NEVER
    return found if found.year < _NEVER.year else _NEVER


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at < _NEVER else "the end of days"
