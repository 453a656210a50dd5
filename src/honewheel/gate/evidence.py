"""What goes into a decision: what a promotion takes, and what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from honewheel.errors import ConfigError
from honewheel.records import Comparison


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
        """What the verdict rests on; a number of it that cannot be read is fatal."""
        first = () if self.primary is None else (self.primary,)
        return (*first, *self.trained, *self.guards, *self.validity, *self.watched)

    @property
    def named(self) -> Mapping[str, Comparison]:
        """What a floor may ask of, by name: everything, and what only informs.

        A task's own metric is there by its name too ("tickets" and "tickets/auc").
        """
        by_metric = {f"{one.name}/{one.metric}": one for one in self.trained}
        return by_metric | {one.name: one for one in (*self.slices, *self.everything)}
