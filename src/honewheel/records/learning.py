"""Learning: what a run is given, what it tells, what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from honewheel.records.plain import Json, as_dict, digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Everything that decides the weights besides the dataset; frozen into the run it starts."""

    family: str
    base: str  # as configured: "honewheel/tiny", a folder or a Hub name
    base_hash: str
    method: str  # "lora" | "full"
    settings: Mapping[str, Json]  # every hyperparameter, resolved
    seed: int = 0
    start_files: str | None = None  # digest of the version's folder it starts from; None: the base

    @property
    def hash(self) -> str:
        """Runs from the base are named as they were before there was another start."""
        told = as_dict(self)
        if self.start_files is None:
            del told["start_files"]
        return digest(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step of long work, for whoever listens (rich bar, log file, test).

    `seconds_left` is a projection; `memory_bytes` the most the working process has taken so far.
    """

    stage: str
    step: int
    total: int
    loss: float | None = None
    val_loss: float | None = None
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None
    memory_bytes: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run will need: bytes by part, rough seconds (None when there is no basis).

    `low` and `high` say how far the peak may lie from the sum of the parts, as shares of it.
    """

    bytes_by_part: Mapping[str, int]
    seconds: float | None = None
    low: float = 1.0
    high: float = 1.0

    @property
    def total_bytes(self) -> int:
        return sum(self.bytes_by_part.values())

    @property
    def low_bytes(self) -> int:
        return round(self.low * self.total_bytes)

    @property
    def high_bytes(self) -> int:
        return round(self.high * self.total_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How a model is asked to answer. temperature 0 is greedy."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One model's output for one item; `stopped` is False when it ran into max_new_tokens.

    `seconds` is its share of the wall time, where that was measured; `asked` the tokens of the
    prompt as the model read it, where the family tells.
    """

    item: str
    output: str
    tokens: int
    stopped: bool = True
    seconds: float | None = None
    asked: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One immutable state of a registered model: base plus adapter (or full weights).

    `files` is the digest of its folder in the file store; None for version 0, the bare base.
    `parent` is the champion it was made to beat, `started_from` the version whose weights its
    training began with (None: those of the base).
    """

    model: str
    number: int
    base: str
    base_hash: str
    created_at: datetime
    files: str | None = None
    dataset: str | None = None
    run: str | None = None
    cycle: str | None = None
    parent: int | None = None
    started_from: int | None = None

    @property
    def name(self) -> str:
        return f"{self.model}@{self.number}"
