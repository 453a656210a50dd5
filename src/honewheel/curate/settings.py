"""What may vary in a build; every technique stands at its plain value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from honewheel.curate import trust
from honewheel.errors import ConfigError

Scanning = Literal["off", "flag", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The keys of `[curate]`. Raises ConfigError on a value outside its range."""

    # what a row is worth
    half_life_days: float | Literal["auto"] = 180.0  # inf: no decay
    calibrate: bool = False  # refit the value on what people judged
    propensity: bool = False  # weigh up what is seldom judged
    task_balance: float = 1.0  # mass of task k ~ n_k^this; 1: as they come, 0: equal
    learnability: bool = False  # weigh up what succeeds half of the time
    trust: Mapping[str, float] = field(default_factory=dict)  # source -> how much its word counts
    # which rows are taken
    selection: Literal["random", "coverage"] = "random"  # where max_examples cuts
    replay: Literal["reservoir", "coverage"] = "reservoir"
    replay_share: float = 0.3  # of the train set, in [0, 1); 0 switches replay off
    min_value: float = 0.5  # least P(the user would accept the target)
    min_examples: int = 20  # fewest new training rows
    max_examples: int | None = None  # most new training rows; None: all
    # None: off. In a team where one person writes 95 % of the corrections, a cap of 0.5 would
    # throw nine tenths of the data away; turn it on where sources are many and not all trusted.
    source_cap: float | None = None  # most of the new rows that one source may supply, in (0, 1]
    source_day_cap: int | None = None  # most new rows of one source and day
    synthetic_share: float = 0.3  # most of the new rows that may be made up
    exclude_sources: tuple[str, ...] = ()  # whose feedback is not heard, old or new
    poison: Scanning = "flag"
    generic: Scanning = "flag"
    # what is made of them
    augment: int = 0  # renamed copies of each training row
    curriculum: Literal["off", "competence", "stages", "hard-first", "easy-only"] = "off"
    preferences: bool = False  # seal pairs and rated outputs beside the examples
    hard_negatives: float = 0.0  # share of rows and pairs that are certified mutations
    seed: int = 0

    def __post_init__(self) -> None:
        cap, most = self.source_cap, self.max_examples
        decay = self.half_life_days == "auto" or self.half_life_days > 0
        for name, allowed, told in (
            ("half_life_days", decay, 'a number of days above 0, or "auto"'),
            ("task_balance", 0 <= self.task_balance <= 1, "in 0 .. 1"),
            ("replay_share", 0 <= self.replay_share < 1, "in 0 .. 1, 1 excluded"),
            ("min_value", 0 <= self.min_value <= 1, "in 0 .. 1"),
            ("min_examples", self.min_examples >= 1, "at least 1"),
            ("max_examples", most is None or most >= self.min_examples, "min_examples or more"),
            ("source_cap", cap is None or 0 < cap <= 1, "in 0 .. 1, 0 excluded"),
            ("augment", self.augment >= 0, "0 or more"),
            ("hard_negatives", 0 <= self.hard_negatives < 1, "in 0 .. 1, 1 excluded"),
        ):
            if not allowed:
                raise ConfigError(f"curate.{name} = {getattr(self, name)} must be {told}.")

    @property
    def unheard(self) -> tuple[str, ...]:
        """Sources whose feedback does not count: excluded ones, and those trusted with nothing."""
        return (*self.exclude_sources, *sorted(trust.muted(self.trust)))
