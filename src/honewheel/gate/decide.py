"""The verdict: what was measured speaks for, against, or leaves it open; the package says how."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from honewheel.gate.evidence import Evidence, Policy
from honewheel.gate.rules import needed, readable, state, watch
from honewheel.gate.words import length, more, points, remedy, signed, tell
from honewheel.records import Comparison, Decision, GuardResult, Verdict


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
        if not readable(one)
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
    told, gain = tell(primary), policy.min_gain
    small = [one for one in trained or (primary,) if one.groups < policy.min_items]
    if small:
        for one in small:
            case.unclear.append(
                f"{one.name} has {one.groups} independent test prompts; the gate needs "
                f"{policy.min_items}."
            )
            case.steps.append(more(policy.min_items - one.groups, one.name))
    elif primary.champion > 1 - gain:
        case.unclear.append(
            f"{told}: the champion scores {100 * primary.champion:.1f}, which leaves no room for "
            f"a gain of {points(gain)}. The panel is saturated."
        )
        case.steps.append("import a harder frozen suite (honewheel suite import FILE --task TASK)")
    elif primary.difference == primary.low == primary.high == 0:
        case.against.append(
            f"{primary.name}: equal scores on all {primary.items} test prompts (mean "
            f"{100 * primary.champion:.1f}); there is nothing to promote."
        )
        case.steps.append(f"record more corrections for {primary.name}")
    elif primary.high < gain:
        what = "worse" if primary.high < 0 else f"at best {signed(primary.high)}"
        case.against.append(
            f"{told}: {what}, and a gain of {points(gain)} is what a promotion takes."
        )
        case.steps.append(f"record more corrections for {primary.name}")
    elif primary.bound > 0 and primary.difference >= gain:
        case.pro.append(
            f"{told}: at least {signed(primary.bound)} at {primary.level:.0%}, and the gain is "
            f"worth having ({points(gain)})."
        )
    else:
        _leave_open(primary, policy, case)


def _leave_open(primary: Comparison, policy: Policy, case: _Case) -> None:
    gain = policy.min_gain
    enough = needed(primary.spread, gain, policy.benefit_level)
    why = (
        f"below the {points(gain)} worth having"
        if primary.bound > 0
        else f"not told from no gain (bound {signed(primary.bound)} at {primary.level:.0%})"
    )
    shows = f"a gain of {points(gain)} shows on about {enough} test prompts, there are"
    case.unclear.append(f"{tell(primary)}: {why}; {shows} {primary.groups}.")
    if enough > primary.groups:
        case.steps.append(more(enough - primary.groups, primary.name))
        case.steps.append(
            "lower min_gain under [models.NAME.gate], if a smaller gain is worth having"
        )
    else:
        case.steps.append(f"record more corrections for {primary.name}")


def _judge_guard(guard: GuardResult, policy: Policy, case: _Case) -> None:
    one, margin = guard.comparison, guard.margin
    told = tell(one)
    if guard.state == "worse":
        case.against.append(f"{told}: worse by more than the {points(margin)} allowed.")
        case.steps.append(remedy(one))
    elif guard.state == "unclear":
        _doubt_guard(one, margin, policy, case)
    else:
        case.pro.append(f"{told}: {guard.state} (margin {points(margin)}).")


def _judge_watched(watched: Iterable[GuardResult], case: _Case) -> None:
    for guard in watched:
        one = guard.comparison
        if guard.state == "worse":
            case.against.append(
                f"{tell(one).removesuffix(' prompts')} cases: worse by more than the "
                f"{points(guard.margin)} allowed."
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
            f"{tell(one)}: a loss of more than {points(margin)} is not excluded (bound "
            f"{signed(one.bound)} at {one.level:.0%}); about {enough} prompts would settle it, "
            f"there are {one.groups}."
        )
    case.steps.append(more(short, one.name) if short > 0 else remedy(one))


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
            case.steps.append(remedy(measured[name]))


def _judge_latency(evidence: Evidence, budget: float | None, case: _Case) -> None:
    if budget is None:
        return
    taken = evidence.seconds
    if taken is None or not all(map(math.isfinite, taken)) or min(taken) <= 0:
        case.unclear.append("A latency budget is set, and the time of answers was not measured.")
        case.steps.append("remove max_latency_ratio under [models.NAME.gate], or evaluate again")
        return
    champion, challenger = taken
    old, new = ("", "") if evidence.tokens is None else map(length, evidence.tokens)
    told = (
        f"latency: an answer takes {challenger:.3g} s{new}, {champion:.3g} s{old} before "
        f"({challenger / champion:.2f}x, allowed {budget:g}x)"
    )
    if challenger > budget * champion * (1 + 1e-12):
        case.against.append(f"{told}: too slow.")
        case.steps.append("look at the longest answers in the report; correct such outputs")
    else:
        case.pro.append(f"{told}.")
