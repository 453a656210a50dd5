"""Scored rows of two versions to the evidence that the gate decides on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Evidence:
    """Every comparison the gate needs; what cannot be compared becomes a problem, not a gap.

    `panels` maps tasks to the rows of their test panel, `suites` names to those of a frozen or
    guard suite; a suite is always a guard, whatever its task. `trained` are the dataset's tasks.
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
    valid = [attempt(compare, f"{task}/valid", "valid", panels[task], guard) for task in own]
    return Evidence(
        primary=next(iter(primary), None),
        trained=tuple(chain.from_iterable(scores)),
        guards=tuple(chain.from_iterable(guards)),
        validity=tuple(chain.from_iterable(valid)),
        problems=tuple(dict.fromkeys(problems)),
    )


def _together(panels: Mapping[str, Sides], tasks: Sequence[str]) -> Sides:
    bases = [panels[task].base for task in tasks]
    return Sides(
        challenger=[row for task in tasks for row in panels[task].challenger],
        champion=[row for task in tasks for row in panels[task].champion],
        base=[row for base in bases for row in base or ()] if all(bases) else None,
    )
