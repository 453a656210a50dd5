"""Measuring and deciding: scores, comparisons, verdicts, and the cycle they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from honewheel.records.plain import Json

Verdict: TypeAlias = Literal["promote", "reject", "undecided"]
GuardState: TypeAlias = Literal["better", "not worse", "unclear", "worse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRow:
    """Scores of one version on one item: the unit that every comparison pairs."""

    version: str
    suite: str
    task: str
    item: str
    group: str
    metrics: Mapping[str, float]  # each in [0, 1]; always has "score", "valid", "exact"
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Challenger minus champion on the same items, in [-1, 1]; interval by cluster bootstrap.

    `low` and `high` bound the two-sided 95 % interval shown to people; `bound` is the one-sided
    lower bound at `level` on which the gate decides.
    """

    name: str  # "erd", "suite:legacy", "erd/valid"
    metric: str
    items: int
    groups: int
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    bound: float
    level: float
    spread: float  # standard deviation of the group means of the difference
    base: float | None = None  # the untuned base on the same items


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardResult:
    """One guard's comparison with its margin (in [0, 1]) and what follows from it."""

    comparison: Comparison
    margin: float
    state: GuardState


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The gate's answer with the numbers it rests on. Only `promote` moves an alias.

    `slices` are parts of the tasks' panels looked at apart (the newest items): nothing rests on
    them.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    challenger: str
    champion: str
    primary: Comparison | None = None
    tasks: tuple[Comparison, ...] = ()
    guards: tuple[GuardResult, ...] = ()
    next_steps: tuple[str, ...] = ()
    slices: tuple[Comparison, ...] = ()

    @property
    def gain(self) -> float | None:
        """Gain on the primary endpoint in points."""
        return None if self.primary is None else 100 * self.primary.difference

    @property
    def interval(self) -> tuple[float, float] | None:
        """Two-sided 95 % interval of the gain in points."""
        return None if self.primary is None else (100 * self.primary.low, 100 * self.primary.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """One entry of an alias's history: which version it pointed to from then on, and why."""

    model: str
    alias: str
    revision: int
    version: int
    previous: int | None
    reason: str
    at: datetime
    cycle: str | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One turn of one registered model, journaled so that a crash means: run again."""

    id: str
    model: str
    number: int
    state: Literal["running", "done", "failed"]
    as_of: datetime
    as_of_seq: int
    config: Mapping[str, Json]
    started_at: datetime
    finished_at: datetime | None = None
    verdict: Verdict | None = None
    error: str | None = None
    schedule: str | None = None  # "light" or "deep"; None: by the model's own settings
