"""Scored rows of two versions to the evidence that the gate decides on."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from honewheel.errors import InputError, NotEnoughData
from honewheel.evaluate.compare import RESAMPLES, compare, pooled
from honewheel.gate import Evidence, Policy
from honewheel.records import Comparison, EvalRow

VERSION = 1

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
) -> Evidence:
    """Every comparison the gate needs; what cannot be compared becomes a problem, not a gap.

    `panels` maps tasks to the rows of their test panel, `suites` names to those of a frozen or
    guard suite; a suite is always a guard, whatever its task. `trained` are the dataset's tasks.
    `newest` are items of the panels that are compared once more by themselves: what was asked
    last resembles most what will be asked next.
    """
    problems: list[str] = []

    def attempt(how: _How, name: str, metric: str, sides: Sides, level: float) -> _Found:
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
            )
        except (InputError, NotEnoughData) as error:
            problems.append(str(error))
            return ()
        return (found,)

    for task in trained:
        if task not in panels:
            problems.append(f"Task {task} was trained on and has no test panel.")
    own = [task for task in sorted(panels) if task in trained]
    guarded = {task: panels[task] for task in sorted(panels) if task not in own or len(own) > 1}
    guarded |= {f"suite:{name}": suites[name] for name in sorted(suites)}
    benefit, guard = policy.benefit_level, policy.guard_level
    primary = attempt(pooled, " + ".join(own), "score", _together(panels, own), benefit)
    scores = [attempt(compare, task, "score", panels[task], benefit) for task in own]
    guards = [attempt(compare, name, "score", guarded[name], guard) for name in guarded]
    late = {task: _among(panels[task], newest) for task in sorted(panels)}
    slices = [
        attempt(compare, f"{task}/newest", "score", sides, guard)
        for task, sides in late.items()
        if sides.challenger
    ]
    valid = [attempt(compare, f"{task}/valid", "valid", panels[task], guard) for task in own]
    return Evidence(
        primary=next(iter(primary), None),
        trained=tuple(chain.from_iterable(scores)),
        guards=tuple(chain.from_iterable(guards)),
        validity=tuple(chain.from_iterable(valid)),
        slices=tuple(chain.from_iterable(slices)),
        problems=tuple(dict.fromkeys(problems)),
    )


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
