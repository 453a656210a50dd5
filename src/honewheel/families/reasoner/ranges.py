"""Every hyperparameter of a reasoner run: default, allowed values, why the limits are there.

The defaults suit the presets of less than a million weights. All weights are trained: there are no
adapters here, since a version is a few hundred kilobytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from honewheel.errors import ConfigError
from honewheel.families.common import (
    CHECKPOINT_EVERY,
    INTERPOLATE,
    MAX_GRAD_NORM,
    PRECISION,
    WARMUP_SHARE,
)
from honewheel.protocols import START, START_RANGE, Range

METHODS: tuple[str, ...] = ("full",)

_RANGES: Mapping[str, Range] = {
    # A preset knows nothing, so a second training has everything to lose by starting there.
    START: replace(START_RANGE, default="champion"),
    "learning_rate": Range(
        default=1e-3,
        low=1e-6,
        high=1e-2,
        log=True,
        search=(3e-4, 4e-3),
        help="peak rate; 2e-3 suits a first training of the small presets, 1e-4 the large ones",
        why="the recurrence either does not learn or breaks apart",
    ),
    "updates": Range(
        default=600,
        low=1,
        high=10_000_000,
        log=True,
        help="updates of a training; each gives every row of a batch one more segment",
    ),
    "batch_size": Range(
        default=64,
        low=1,
        high=4096,
        log=True,
        search=(32, 128),
        help="rows of an update",
        why="halted rows are too few to learn halting from",
    ),
    "segments": Range(
        default=0,
        low=0,
        high=128,
        help="segments that a row is given at most, in training and when the version answers; 0: "
        "those of the base",
    ),
    "optimizer": Range(
        default="adamw",
        choices=("adamw", "adam_atan2"),
        help="adam_atan2 steps by atan2(m, sqrt(v)), as the published models were trained",
    ),
    "schedule": Range(
        default="cosine",
        choices=("linear", "cosine", "constant"),
        help="how the rate falls after the warm-up",
    ),
    "warmup_share": WARMUP_SHARE,
    "weight_decay": Range(
        default=0.1,
        low=0.0,
        high=2.0,
        help="decay of matrices, times the rate; what belongs to a task does not decay",
    ),
    "max_grad_norm": MAX_GRAD_NORM,
    "ema": Range(
        default=0.99,
        low=0.0,
        high=0.9999,
        help="what each update keeps of the running mean of the weights, which is what is judged "
        "and kept; it rises to this over the first updates",
        why="the mean never leaves the first weights",
    ),
    "loss": Range(
        default="softmax",
        choices=("softmax", "stablemax"),
        help="stablemax for long trainings, in which softmax saturates",
    ),
    "halt_weight": Range(
        default=0.5, low=0.0, high=10.0, help="weight of learning when a row is done"
    ),
    "exploration": Range(
        default=0.1,
        low=0.0,
        high=1.0,
        help="share of updates in which a row must go on for a random number of segments, however "
        "sure the model is",
    ),
    "augment": Range(
        default=True,
        help="show each row in a random equivalent form, where its puzzle has symmetries",
    ),
    "replay": Range(
        default=0.6,
        low=0.0,
        high=0.95,
        search=(0.3, 0.8),
        help="share of the rows shown that are replayed ones, however few there are; 0: as many "
        "as their weights make",
        why="nothing new would be learnt",
    ),
    "task_first": Range(
        default=0.0,
        low=0.0,
        high=1.0,
        help="share of the updates in which only what belongs to a task is trained: its embedding "
        "and how it weighs relations; 1: in all of them, so what tasks share stays as it was",
    ),
    "interpolate": INTERPOLATE,
    "votes": Range(
        default=1,
        low=1,
        high=64,
        help="equivalent forms of a puzzle that the version answers before it decides",
    ),
    "eval_every": Range(
        default=50, low=1, high=100_000, log=True, help="updates between looks at validation rows"
    ),
    "patience": Range(
        default=12, low=1, high=1000, help="looks without improvement until training stops"
    ),
    "checkpoint_every": CHECKPOINT_EVERY,
    "precision": PRECISION,
}


def ranges(method: str) -> Mapping[str, Range]:
    """Every hyperparameter of `method`. Raises ConfigError on an unknown one."""
    if method not in METHODS:
        raise ConfigError(f"reasoner has no method {method!r}; it has {', '.join(METHODS)}.")
    return _RANGES
