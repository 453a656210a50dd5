"""Scored rows of two versions to the evidence that the gate decides on."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from honewheel.errors import InputError, NotEnoughData
from honewheel.evaluate import exact, setwise
from honewheel.evaluate.compare import RESAMPLES, compare, pooled
from honewheel.evaluate.setwise import Statistic
from honewheel.gate import Evidence, Policy
from honewheel.protocols import ScoresSets
from honewheel.records import Comparison, EvalRow

_Found: TypeAlias = tuple[Comparison, ...]
_How: TypeAlias = Callable[..., Comparison]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Rows of one panel or suite; `base` is the untuned base, told beside the two."""

    challenger: Sequence[EvalRow]
    champion: Sequence[EvalRow]
    base: Sequence[EvalRow] | None = None


def measure(
    panels: Mapping[str, Sides],
    suites: Mapping[str, Sides],
    *,
    trained: Sequence[str],
    policy: Policy,
    newest: Container[str] = (),
    seed: int = 0,
    resamples: int = RESAMPLES,
    sets: Mapping[str, ScoresSets] | None = None,
    chosen: Mapping[str, str] | None = None,
    watched: Mapping[str, Sides] | None = None,
    bands: Mapping[str, Mapping[str, str]] | None = None,
) -> Evidence:
    """Every comparison the gate needs; what cannot be compared becomes a problem, not a gap.

    `panels` maps tasks to the rows of their test panel, `suites` names to those of a frozen or
    guard suite; a suite is always a guard, whatever its task. `trained` are the dataset's tasks.
    `newest` are items of the panels that are compared once more by themselves: what was asked
    last resembles most what will be asked next. `sets` are the tasks that score whole panels, by
    name: their set metric (`chosen`, else the one that fits the rows) stands for the mean score.
    `watched` are rows with a metric `passed`, of an adversarial diagnostic, by category. `bands`
    are the tasks with exact answers and the difficulty of their items: what was gained and lost is
    told, and each difficulty is compared by itself.
    """
    problems: list[str] = []
    champions = {task: sides.champion for task, sides in panels.items()}
    scored = statistics(champions, sets or {}, chosen or {})

    def attempt(
        how: _How,
        name: str,
        metric: str,
        sides: Sides,
        level: float,
        by_set: Mapping[str, Statistic] | None = None,
        told: list[str] = problems,
    ) -> _Found:
        try:
            found = how(
                name,
                metric,
                sides.challenger,
                sides.champion,
                level=level,
                seed=seed,
                base_rows=sides.base,
                resamples=resamples,
                statistics=by_set,
            )
        except (InputError, NotEnoughData) as error:
            told.append(str(error))
            return ()
        return (found,)

    for task in trained:
        if task not in panels:
            problems.append(f"Task {task} was trained on and has no test panel.")
    own = [task for task in sorted(panels) if task in trained]
    guarded = {task: panels[task] for task in sorted(panels) if task not in own or len(own) > 1}
    guarded |= {f"suite:{name}": suites[name] for name in sorted(suites)}
    benefit, guard = policy.benefit_level, policy.guard_level

    def fitting(name: str) -> dict[str, Statistic]:
        """A panel's own set metric; of a suite the one that fits its rows."""
        return scored if name in panels else _statistics_of(guarded[name], sets or {})

    primary = attempt(pooled, " + ".join(own), "score", _together(panels, own), benefit, scored)
    scores = [attempt(compare, task, "score", panels[task], benefit, scored) for task in own]
    guards = [
        attempt(compare, name, "score", guarded[name], guard, fitting(name)) for name in guarded
    ]
    late = {task: _among(panels[task], newest) for task in sorted(panels)}
    slices = [
        # Of a few new items a set metric may be undefined, and nothing rests on them.
        attempt(compare, f"{task}/newest", "score", sides, guard, scored, told=[])
        for task, sides in late.items()
        if sides.challenger
    ]
    aspects = [
        attempt(compare, f"{task}/{other.name}", "score", panels[task], guard, {task: other}, [])
        for task in own
        if task in scored
        for other in _others(scored[task])
    ]
    levels = [
        attempt(compare, f"{task}/{level}", "score", sides, guard, told=[])
        for task in own
        for level, sides in _levels(panels[task], (bands or {}).get(task, {}))
    ]
    kept = {name: (watched or {})[name] for name in sorted(watched or {})}
    valid = [attempt(compare, f"{task}/valid", "valid", panels[task], guard) for task in own]
    return Evidence(
        primary=next(iter(primary), None),
        trained=tuple(chain.from_iterable(scores)),
        guards=tuple(chain.from_iterable(guards)),
        validity=tuple(chain.from_iterable(valid)),
        slices=tuple(chain.from_iterable((*slices, *levels, *aspects))),
        watched=tuple(
            chain.from_iterable(
                attempt(compare, f"adversarial:{name}", "passed", sides, guard)
                for name, sides in kept.items()
            )
        ),
        notes=(*_notes(panels, own, scored, policy), *_flips(panels, own, bands or {})),
        problems=tuple(dict.fromkeys(problems)),
    )


def statistics(
    panels: Mapping[str, Sequence[EvalRow]],
    sets: Mapping[str, ScoresSets],
    chosen: Mapping[str, str],
) -> dict[str, Statistic]:
    """The set metric of each task that has one and was not told to do without ("score").

    `panels` are any version's rows of each task: what was expected decides, not what was answered.
    """
    found: dict[str, Statistic] = {}
    for task, scorer in sets.items():
        rows = panels.get(task, ())
        if chosen.get(task) == "score" or not rows:
            continue
        name = chosen.get(task) or scorer.set_metric(setwise.columns(rows))
        found[task] = Statistic(scorer, name)
    return found


def _statistics_of(sides: Sides, sets: Mapping[str, ScoresSets]) -> dict[str, Statistic]:
    return {
        task: Statistic(sets[task], sets[task].set_metric(setwise.columns(sides.champion)))
        for task in {row.task for row in sides.champion} & sets.keys()
    }


def _others(chosen: Statistic) -> list[Statistic]:
    """The set metrics that only inform."""
    return [Statistic(chosen.task, name) for name in chosen.task.set_metrics if name != chosen.name]


def _notes(
    panels: Mapping[str, Sides],
    own: Sequence[str],
    scored: Mapping[str, Statistic],
    policy: Policy,
) -> tuple[str, ...]:
    """What the challenger's numbers cannot say by themselves, a sentence each."""
    found: list[str] = []
    for task in (one for one in own if one in scored):
        asked = {
            tier: {
                name.removeprefix(f"{task}/"): floor
                for name, floor in floors.items()
                if name.startswith(f"{task}/")
            }
            for tier, floors in policy.tiers.items()
        }
        rows = setwise.columns(panels[task].challenger)
        found += [f"{task}: {note}." for note in scored[task].task.set_notes(rows, asked)]
    return tuple(found)


def _levels(sides: Sides, bands: Mapping[str, str]) -> list[tuple[str, Sides]]:
    """The rows of each difficulty, by its name."""
    return [
        (level, _among(sides, {item for item, found in bands.items() if found == level}))
        for level in sorted(set(bands.values()))
    ]


def _flips(
    panels: Mapping[str, Sides], own: Sequence[str], bands: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """A sentence on each trained task with exact answers: what was gained and lost."""
    found = []
    for task in (one for one in own if one in bands):
        try:
            told = exact.flips(panels[task].challenger, panels[task].champion).told
        except (InputError, NotEnoughData):
            continue  # its score cannot be compared either, which is a problem already
        found.append(f"{task}: {told}.")
    return found


def _among(sides: Sides, items: Container[str]) -> Sides:
    """Only the rows of these items."""
    return Sides(
        challenger=[row for row in sides.challenger if row.item in items],
        champion=[row for row in sides.champion if row.item in items],
        base=None if sides.base is None else [row for row in sides.base if row.item in items],
    )


def _together(panels: Mapping[str, Sides], tasks: Sequence[str]) -> Sides:
    bases = [panels[task].base for task in tasks]
    return Sides(
        challenger=[row for task in tasks for row in panels[task].challenger],
        champion=[row for task in tasks for row in panels[task].champion],
        base=[row for base in bases for row in base or ()] if all(bases) else None,
    )
