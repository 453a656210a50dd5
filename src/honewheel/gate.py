"""Promote, reject or undecided: a pure function of comparisons and a policy.

**Primary.** One endpoint per registered model: the pooled score of the tasks it was trained on.
It must gain: one-sided lower bound at `benefit_level` above 0, and estimate at least `min_gain`.

**Guards.** Everything else that was measured: tasks not trained on, frozen suites, each trained
task when there are several, and the validity of each trained task. All must pass, so the chance
to wave a real loss through is that of the one guard at fault and no correction for their number is
due (an intersection-union test, Berger 1982). A score guard passes when its lower bound at
`guard_level` lies above -`margin`; it is worse when it lost more than the margin and the two-sided
95 % interval excludes 0; otherwise it is unclear.

**Validity** is 0 or 1 an item, so its bound moves in steps: with 150 items one lost item alone puts
it at -2 points, and a strict bound at a 2-point margin would never be met. It passes when the
estimate lost at most `validity_margin` *and* the bound lies above twice that. With 150 items, two
lost ones pass, three are unclear, four are worse.

**Watched.** Categories of an adversarial diagnostic have a few dozen cases each, too few to prove
that nothing was lost. They forbid only what is shown: a loss of more than `adversarial_margin`
whose 95 % interval excludes 0. What is unclear is told and holds nothing up.

**Tiers** are named sets of floors ("production": AUC 95). The report says which are reached; only
the floors of the required ones forbid.

Failing closed: no baseline, an unreadable or missing number, a suite that is empty, too small or
saturated, and equal scores on every item never promote. What is worse rejects, what is unclear
leaves the decision open and says how many prompts would settle it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

from honewheel.errors import ConfigError
from honewheel.records import Comparison, Decision, GuardResult, GuardState, Verdict

VERSION = 2

POWER = 0.80


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a promotion takes. Gains and margins in [0, 1] (0.01 is one point).

    `floors` maps a comparison's name ("erd", "erd/valid", "suite:legacy") to the least mean the
    challenger may have. `min_items` counts groups: near-copies of a prompt are one.
    `max_latency_ratio` is the most seconds that an answer of the challenger may take for each of
    the champion's; None asks nothing. `tiers` maps a tier's name to floors that are told and not
    asked for; those of a tier that is asked for stand in `floors` as well.
    """

    benefit_level: float = 0.80
    guard_level: float = 0.95
    min_gain: float = 0.01
    margin: float = 0.03
    validity_margin: float = 0.02
    floors: Mapping[str, float] = field(default_factory=dict)
    min_items: int = 30
    max_latency_ratio: float | None = None
    adversarial_margin: float = 0.05
    tiers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("benefit_level", "guard_level"):
            if not 0.5 < getattr(self, name) < 1:
                raise ConfigError(f"gate.{name} = {getattr(self, name)} must be in 0.5 .. 1.")
        for name in ("min_gain", "margin", "validity_margin", "adversarial_margin"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"gate.{name} = {getattr(self, name)} must be in 0 .. 1.")
        for name, floor in self.floors.items():
            if not 0 <= floor <= 1:
                raise ConfigError(f"gate.floors.{name} = {floor} must be in 0 .. 1.")
        if self.min_items < 2:
            raise ConfigError(f"gate.min_items = {self.min_items} must be at least 2.")
        if self.max_latency_ratio is not None and not 0 < self.max_latency_ratio < math.inf:
            raise ConfigError(
                f"gate.max_latency_ratio = {self.max_latency_ratio} must be a number above 0."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was measured. `problems` are sentences on what could not be; any of them is fatal.

    `trained` are the score comparisons of the trained tasks at `benefit_level`; `guards` and
    `validity` (of the trained tasks) are at `guard_level`. `seconds` and `tokens` are what an
    answer takes on average, (champion, challenger), on all prompts; the lengths are told beside
    the times, since they are free of what else the machine was doing. `slices` only inform.
    `watched` are categories of an adversarial diagnostic; `notes` sentences on how to read numbers.
    """

    primary: Comparison | None
    trained: tuple[Comparison, ...] = ()
    guards: tuple[Comparison, ...] = ()
    validity: tuple[Comparison, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: tuple[float, float] | None = None
    tokens: tuple[float, float] | None = None
    slices: tuple[Comparison, ...] = ()
    watched: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def everything(self) -> tuple[Comparison, ...]:
        first = () if self.primary is None else (self.primary,)
        return (*first, *self.trained, *self.guards, *self.validity, *self.watched)

    @property
    def named(self) -> Mapping[str, Comparison]:
        """What a floor may ask of, by name: everything, and what only informs.

        A task's own metric is there by its name too ("tickets" and "tickets/auc").
        """
        by_metric = {f"{one.name}/{one.metric}": one for one in self.trained}
        return by_metric | {one.name: one for one in (*self.slices, *self.everything)}


@dataclass(slots=True)
class _Case:
    """What speaks for, against, and leaves open; and what would help."""

    pro: list[str] = field(default_factory=list)
    against: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        if self.against:
            return "reject"
        return "undecided" if self.unclear or not self.pro else "promote"


def decide(evidence: Evidence, policy: Policy, *, challenger: str, champion: str) -> Decision:
    """The verdict with its reasons (sentences with numbers in points) and next steps."""
    case = _Case()
    case.unclear += evidence.problems
    case.unclear += [
        f"{one.name}: a number is missing or unreadable, so nothing rests on it."
        for one in evidence.everything
        if not _readable(one)
    ]
    guards: tuple[GuardResult, ...] = ()
    if not case.unclear:
        guards = _weigh(evidence, policy, case)
    if case.verdict == "undecided" and not case.steps:
        case.steps.append("mend what is named above and run the cycle again")
    return Decision(
        verdict=case.verdict,
        reasons=(
            *case.against,
            *case.unclear,
            *case.pro,
            *_tiers(evidence, policy),
            *evidence.notes,
        ),
        challenger=challenger,
        champion=champion,
        primary=evidence.primary,
        tasks=evidence.trained,
        guards=guards,
        slices=evidence.slices,
        next_steps=() if case.verdict == "promote" else tuple(dict.fromkeys(case.steps)),
    )


def state(guard: Comparison, margin: float, policy: Policy) -> GuardState:
    """What a guard's comparison says; see the module's text for the two rules."""
    if guard.groups < policy.min_items:
        return "unclear"
    if guard.bound > 0:
        return "better"
    allowed = margin + 1e-12  # 3 of 150 is 2 points, whatever binary fractions make of it
    if guard.metric == "valid":
        passed = guard.difference >= -allowed and guard.bound > -2 * margin
    else:
        passed = guard.bound > -margin
    if passed:
        return "not worse"
    return "worse" if guard.difference < -allowed and guard.high < 0 else "unclear"


def watch(one: Comparison, margin: float) -> GuardState:
    """What a watched category's comparison says: worse only where a loss is shown."""
    if one.bound > 0:
        return "better"
    if one.difference < -margin - 1e-12 and one.high < 0:
        return "worse"
    return "not worse" if one.bound > -margin else "unclear"


def needed(spread: float, gain: float, level: float) -> int:
    """Groups on which a true `gain` clears the one-sided `level` with 80 % power.

    n >= (z_level + z_power)^2 spread^2 / gain^2, for paired differences of that spread.
    """
    normal = NormalDist()
    z = normal.inv_cdf(level) + normal.inv_cdf(POWER)
    return math.ceil((z * spread / gain) ** 2)


def _weigh(evidence: Evidence, policy: Policy, case: _Case) -> tuple[GuardResult, ...]:
    primary = evidence.primary
    if primary is None:
        case.unclear.append("There is no comparison on the trained tasks, so no basis to promote.")
        return ()
    _judge_primary(primary, evidence.trained, policy, case)
    guards = tuple(
        GuardResult(comparison=one, margin=margin, state=state(one, margin, policy))
        for found, margin in (
            (evidence.guards, policy.margin),
            (evidence.validity, policy.validity_margin),
        )
        for one in found
    )
    for guard in guards:
        _judge_guard(guard, policy, case)
    margin = policy.adversarial_margin
    watched = tuple(
        GuardResult(comparison=one, margin=margin, state=watch(one, margin))
        for one in evidence.watched
    )
    _judge_watched(watched, case)
    _judge_floors(evidence, policy, case)
    _judge_latency(evidence, policy.max_latency_ratio, case)
    return (*guards, *watched)


def _judge_primary(
    primary: Comparison, trained: Iterable[Comparison], policy: Policy, case: _Case
) -> None:
    told, gain = _told(primary), policy.min_gain
    small = [one for one in trained or (primary,) if one.groups < policy.min_items]
    if small:
        for one in small:
            case.unclear.append(
                f"{one.name} has {one.groups} independent test prompts; the gate needs "
                f"{policy.min_items}."
            )
            case.steps.append(_more(policy.min_items - one.groups, one.name))
    elif primary.champion > 1 - gain:
        case.unclear.append(
            f"{told}: the champion scores {100 * primary.champion:.1f}, which leaves no room for "
            f"a gain of {_points(gain)}. The panel is saturated."
        )
        case.steps.append("import a harder frozen suite (honewheel suite import FILE --task TASK)")
    elif primary.difference == primary.low == primary.high == 0:
        case.against.append(
            f"{primary.name}: equal scores on all {primary.items} test prompts (mean "
            f"{100 * primary.champion:.1f}); there is nothing to promote."
        )
        case.steps.append(f"record more corrections for {primary.name}")
    elif primary.high < gain:
        what = "worse" if primary.high < 0 else f"at best {_signed(primary.high)}"
        case.against.append(
            f"{told}: {what}, and a gain of {_points(gain)} is what a promotion takes."
        )
        case.steps.append(f"record more corrections for {primary.name}")
    elif primary.bound > 0 and primary.difference >= gain:
        case.pro.append(
            f"{told}: at least {_signed(primary.bound)} at {primary.level:.0%}, and the gain is "
            f"worth having ({_points(gain)})."
        )
    else:
        _leave_open(primary, policy, case)


def _leave_open(primary: Comparison, policy: Policy, case: _Case) -> None:
    gain = policy.min_gain
    enough = needed(primary.spread, gain, policy.benefit_level)
    why = (
        f"below the {_points(gain)} worth having"
        if primary.bound > 0
        else f"not told from no gain (bound {_signed(primary.bound)} at {primary.level:.0%})"
    )
    shows = f"a gain of {_points(gain)} shows on about {enough} test prompts, there are"
    case.unclear.append(f"{_told(primary)}: {why}; {shows} {primary.groups}.")
    if enough > primary.groups:
        case.steps.append(_more(enough - primary.groups, primary.name))
        case.steps.append(
            "lower min_gain under [models.NAME.gate], if a smaller gain is worth having"
        )
    else:
        case.steps.append(f"record more corrections for {primary.name}")


def _judge_guard(guard: GuardResult, policy: Policy, case: _Case) -> None:
    one, margin = guard.comparison, guard.margin
    told = _told(one)
    if guard.state == "worse":
        case.against.append(f"{told}: worse by more than the {_points(margin)} allowed.")
        case.steps.append(_remedy(one))
    elif guard.state == "unclear":
        _doubt_guard(one, margin, policy, case)
    else:
        case.pro.append(f"{told}: {guard.state} (margin {_points(margin)}).")


def _judge_watched(watched: Iterable[GuardResult], case: _Case) -> None:
    for guard in watched:
        one = guard.comparison
        if guard.state == "worse":
            case.against.append(
                f"{_told(one).removesuffix(' prompts')} cases: worse by more than the "
                f"{_points(guard.margin)} allowed."
            )
            case.steps.append(
                "look at the cases that fail now (honewheel adversarial --version VERSION), and "
                "record pairs like them"
            )
    fine = [one for one in watched if one.state != "worse"]
    if fine:
        open_ones = [one.comparison.name for one in fine if one.state == "unclear"]
        told = f", of {len(open_ones)} of them a loss is not excluded" if open_ones else ""
        case.pro.append(f"{len(fine)} adversarial categories: no loss is shown{told}.")


def _tiers(evidence: Evidence, policy: Policy) -> tuple[str, ...]:
    """Which of the named tiers the challenger reaches, a sentence each."""
    measured = evidence.named
    return tuple(_tier(name, floors, measured) for name, floors in policy.tiers.items())


def _tier(name: str, floors: Mapping[str, float], measured: Mapping[str, Comparison]) -> str:
    short = [
        f"{what} {100 * measured[what].challenger:.1f} of {100 * floor:.1f}"
        if what in measured
        else f"{what} was not measured"
        for what, floor in floors.items()
        if what not in measured or measured[what].challenger < floor
    ]
    return f"Tier {name}: " + (f"not reached ({'; '.join(short)})." if short else "reached.")


def _doubt_guard(one: Comparison, margin: float, policy: Policy, case: _Case) -> None:
    if one.groups < policy.min_items:
        short = policy.min_items - one.groups
        case.unclear.append(
            f"{one.name} guards with {one.groups} independent prompts; {policy.min_items} are "
            "needed."
        )
    else:
        enough = needed(one.spread, margin, policy.guard_level)
        short = enough - one.groups
        case.unclear.append(
            f"{_told(one)}: a loss of more than {_points(margin)} is not excluded (bound "
            f"{_signed(one.bound)} at {one.level:.0%}); about {enough} prompts would settle it, "
            f"there are {one.groups}."
        )
    case.steps.append(_more(short, one.name) if short > 0 else _remedy(one))


def _judge_floors(evidence: Evidence, policy: Policy, case: _Case) -> None:
    measured = evidence.named
    for name, floor in sorted(policy.floors.items()):
        if name not in measured:
            case.unclear.append(f"A floor is set for {name}, which was not measured.")
            case.steps.append(f"remove the floor for {name}, or give it a suite")
        elif measured[name].challenger < floor:
            case.against.append(
                f"{name}: {100 * measured[name].challenger:.1f} is below its floor of "
                f"{100 * floor:.1f}."
            )
            case.steps.append(_remedy(measured[name]))


def _judge_latency(evidence: Evidence, budget: float | None, case: _Case) -> None:
    if budget is None:
        return
    taken = evidence.seconds
    if taken is None or not all(map(math.isfinite, taken)) or min(taken) <= 0:
        case.unclear.append("A latency budget is set, and the time of answers was not measured.")
        case.steps.append("remove max_latency_ratio under [models.NAME.gate], or evaluate again")
        return
    champion, challenger = taken
    old, new = ("", "") if evidence.tokens is None else map(_length, evidence.tokens)
    told = (
        f"latency: an answer takes {challenger:.3g} s{new}, {champion:.3g} s{old} before "
        f"({challenger / champion:.2f}x, allowed {budget:g}x)"
    )
    if challenger > budget * champion * (1 + 1e-12):
        case.against.append(f"{told}: too slow.")
        case.steps.append("look at the longest answers in the report; correct such outputs")
    else:
        case.pro.append(f"{told}.")


def _length(tokens: float) -> str:
    return f" ({tokens:,.1f} tokens)"


def _readable(one: Comparison) -> bool:
    numbers = (one.champion, one.challenger, one.difference, one.low, one.high, one.bound)
    return all(map(math.isfinite, (*numbers, one.spread))) and one.items > 0


def _remedy(one: Comparison) -> str:
    if one.metric == "valid":
        return f"look at the invalid outputs of {one.name} in the report; correct such outputs"
    return f"raise curate.replay_share, or record accepted outputs of {one.name} to replay"


def _more(prompts: int, name: str) -> str:
    return (
        f"import a frozen suite with about {prompts} more prompts for {name} (honewheel suite "
        f"import FILE --task TASK), or record about {10 * prompts} more requests: one in ten is "
        "held out"
    )


def _told(one: Comparison) -> str:
    change = f"{100 * one.champion:.1f} -> {100 * one.challenger:.1f}"
    interval = f"[{_signed(one.low)}, {_signed(one.high)}]"
    return f"{one.name} {change}, {_signed(one.difference)} {interval} points, {one.items} prompts"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}"


def _points(share: float) -> str:
    number = f"{100 * share:.1f}"
    return f"{number} point" if number == "1.0" else f"{number} points"
