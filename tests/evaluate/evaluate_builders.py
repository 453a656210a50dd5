"""Scored rows for the tests of evaluate and of the gate."""

from __future__ import annotations

from collections.abc import Sequence

from honewheel.evaluate.measure import Sides
from honewheel.records import EvalRow


def scored(
    version: str,
    scores: Sequence[float],
    *,
    valid: Sequence[float] | None = None,
    task: str = "erd",
    suite: str = "panel",
    groups: Sequence[object] | None = None,
) -> list[EvalRow]:
    """One row a score; every item is its own group unless told."""
    valids = [1.0] * len(scores) if valid is None else valid
    names = range(len(scores)) if groups is None else groups
    return [
        EvalRow(
            version=version,
            suite=suite,
            task=task,
            item=f"{task}-{at:04d}",
            group=f"{task}-g{group}",
            metrics={"score": float(score), "valid": float(ok), "exact": float(score == 1)},
        )
        for at, (score, ok, group) in enumerate(zip(scores, valids, names, strict=True))
    ]


def sides(new: Sequence[float], old: Sequence[float], **more: object) -> Sides:
    """Challenger's and champion's rows on the same items, all valid."""
    return Sides(
        challenger=scored("m@2", new, **more),  # type: ignore[arg-type]
        champion=scored("m@1", old, **more),  # type: ignore[arg-type]
    )
