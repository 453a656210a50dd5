"""The sentences of a report that depend on how the cycle ended."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from honewheel.records import Verdict
from honewheel.report.collect import CycleReport
from honewheel.report.numbers import count, duration, interval, moment, share, signed

_STEP = {
    "champion": "finding the champion",
    "build": "building the dataset",
    "train": "training",
    "evaluate": "evaluation",
    "gate": "the gate",
    "promote": "promotion",
    None: "closing the cycle",
}


@dataclass(frozen=True, slots=True)
class Command:
    """Something the reader can run next, and what it is for."""

    line: str
    purpose: str


def verdict(report: CycleReport) -> Verdict | None:
    """The gate's verdict, or what the cycle was closed with when nothing reached the gate."""
    return report.cycle.verdict if report.decision is None else report.decision.verdict


def headline(report: CycleReport) -> str:
    """How the cycle ended, in one line: "Promoted: artifacts@4 replaces artifacts@3"."""
    if report.cycle.state == "failed":
        return f"Failed in {_next(report)}"
    if report.cycle.state == "running":
        return f"Not finished: {_next(report)} comes next"
    decided = report.decision
    stays = f": {decided.champion} stays champion" if decided is not None else ""
    match verdict(report):
        case "promote":
            return f"Promoted{_move(report)}"
        case "reject":
            return f"Rejected{stays}"
        case "undecided":
            return f"Undecided{stays}"
    return "Closed without a verdict"


def _next(report: CycleReport) -> str:
    return _STEP[report.next_step]


def _move(report: CycleReport) -> str:
    if report.promoted is None or report.decision is None:
        return ""
    if report.promoted["alias"] == "champion":
        return f": {report.decision.challenger} replaces {report.decision.champion}"
    return f": {report.decision.challenger} is now {report.promoted['alias']}"


def finding(report: CycleReport) -> str | None:
    """The primary endpoint in one sentence; None when nothing was compared."""
    if not report.lines:
        return None
    first = report.lines[0].comparison
    return (
        f"{report.lines[0].comparison.name}: {signed(first.difference)} points, 95 % interval "
        f"{interval(first.low, first.high)}, on {count(first.items)} held-out prompts in "
        f"{count(first.groups)} groups."
    )


def progress(report: CycleReport) -> str:
    """How far the cycle got and how long it took: "champion, build done; training failed"."""
    done = f"{', '.join(report.reached) or 'nothing'} done"
    if report.cycle.state == "failed":
        return f"{done}; {_next(report)} failed"
    if report.cycle.state == "running":
        return f"{done}; {_next(report)} comes next"
    finished = report.cycle.finished_at
    seconds = None if finished is None else (finished - report.cycle.started_at).total_seconds()
    return f"{done} in {duration(seconds)}"


def occasion(report: CycleReport) -> str:
    """By which schedule it ran, and why: "A light cycle: 41 effective new examples wait"."""
    schedule = report.cycle.schedule
    what = f"A {schedule} cycle" if schedule else "A cycle by the model's own settings"
    return f"{what}: {report.reason}" if report.reason else what


def simulated(report: CycleReport) -> str | None:
    """The warning that examples do not come from people; None when no source is simulated."""
    build = report.build
    if build is None or not build.simulated:
        return None
    return (
        f"{count(build.simulated)} of {count(build.trained)} examples trained on "
        f"({share(build.simulated, build.trained)}) come from simulated sources, not from people."
    )


def commands(report: CycleReport) -> tuple[Command, ...]:
    """What the reader may run next, most likely first."""
    model = shlex.quote(report.cycle.model)
    if report.cycle.state != "done":
        return (Command(f"honewheel cycle {model}", "run again; finished steps are kept"),)
    found: list[Command] = []
    decided = report.decision
    if decided is not None:
        name = shlex.quote(decided.challenger)
        if report.promoted is not None:
            found.append(Command(f"honewheel rollback {model}", f"back to {decided.champion}"))
        elif decided.verdict != "promote":
            why = "promote against the gate; the reason is recorded"
            found.append(Command(f'honewheel promote {name} --force "REASON"', why))
        found.append(Command(f"honewheel trace {name}", "the events that shaped it"))
    if event := _left_out(report):
        why = "why this event was left out"
        found.append(Command(f"honewheel explain {shlex.quote(event)}", why))
    return tuple(found)


def _left_out(report: CycleReport) -> str | None:
    reasons = report.build.dropped if report.build is not None else ()
    return next((drop.examples[0].event for drop in reasons if drop.examples), None)


def lineage(report: CycleReport) -> tuple[tuple[str, str], ...]:
    """(name, value) of what this cycle was made of and what it made, as far as it got."""
    cycle, challenger = report.cycle, report.challenger
    found: dict[str, str | None] = {
        "cycle": cycle.id,
        "schedule": cycle.schedule or "the model's own settings",
        "run because": report.reason,
        "as of": f"{moment(cycle.as_of)}, sequence number {count(cycle.as_of_seq)}",
        "started": moment(cycle.started_at),
        "finished": None if cycle.finished_at is None else moment(cycle.finished_at),
        "champion": None if report.champion is None else report.champion.name,
    }
    if report.build is not None:
        found["dataset"] = report.build.dataset
    if report.training is not None:
        found["run"] = report.training.run
        found["base"] = report.training.base
        found["base hash"] = report.training.base_hash
        found["files"] = report.training.files
    if challenger is not None:
        found["challenger"] = challenger.name
        parent = challenger.parent
        found["parent"] = None if parent is None else f"{challenger.model}@{parent}"
        start = challenger.started_from
        found["started from"] = "the base" if start is None else f"{challenger.model}@{start}"
    return tuple((name, value) for name, value in found.items() if value is not None)
