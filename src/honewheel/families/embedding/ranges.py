"""Every hyperparameter of an embedding run: default, allowed values, and why the limits are there.

A run has a method: `head` trains one matrix on cached embeddings of the base (seconds on a CPU),
`lora` adapters in the transformer, `full` all its weights. The rate that is right differs by a
factor of a hundred between them, and a rate that is too low leaves a model worse than its base
(docs/how-to/embeddings.md), so by default a ladder of rates is tried on the validation pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from honewheel.errors import ConfigError
from honewheel.families.common import DROPOUT, PRECISION
from honewheel.families.names import ALL_LINEAR
from honewheel.protocols import START, START_RANGE, Range

METHODS: tuple[str, ...] = ("head", "lora", "full")
LOSSES: tuple[str, ...] = ("cosent", "mse", "mnrl", "cached-mnrl", "angle")
AUTO = "auto"
LADDERS: Mapping[str, tuple[float, ...]] = {
    "head": (1e-3, 3e-3, 1e-2),
    "lora": (2e-4, 5e-4, 1e-3, 2e-3),
    "full": (2e-5, 5e-5, 1e-4, 2e-4),
}
UNTRIED: Mapping[str, float] = {"head": 1e-3, "lora": 1e-3, "full": 5e-5}  # without validation
LEAST_UPDATES: Mapping[str, int] = {"head": 300, "lora": 1, "full": 1}
_RATES = {"head": (1e-5, 0.1), "lora": (1e-6, 1e-2), "full": (1e-7, 2e-3)}
_SEARCHED = {"head": (3e-4, 3e-2), "lora": (1e-4, 5e-3), "full": (1e-5, 5e-4)}


def ranges(method: str) -> Mapping[str, Range]:
    """Every hyperparameter of `method`. Raises ConfigError on an unknown one."""
    if method not in METHODS:
        raise ConfigError(f"embedding has no method {method!r}; it has {', '.join(METHODS)}.")
    found = {
        START: START_RANGE,
        "learning_rate": _rate(method),
        **_loss(method),
        **_course(method),
    }
    if method == "head":
        return found
    return found | _transformer() | (_LORA if method == "lora" else {})


def _rate(method: str) -> Range:
    low, high = _RATES[method]
    ladder = ", ".join(f"{rate:g}" for rate in LADDERS[method])
    return Range(
        default=AUTO,
        words=(AUTO,),
        low=low,
        high=high,
        log=True,
        search=_SEARCHED[method],
        help=f"peak rate; auto tries {ladder} on the validation pairs and takes the lowest of "
        "the best",
        why="training either does not move the embeddings or destroys them",
    )


def _loss(method: str) -> dict[str, Range]:
    return {
        "loss": Range(
            default="mse" if method == "head" else "cosent",
            choices=LOSSES,
            help="cosent: order of the pairs; mse: the label itself; mnrl: find the partner among "
            "the batch (cached-mnrl: in bounded memory); angle: order by angle and cosine",
        ),
        "scale": Range(
            default=20.0,
            low=1.0,
            high=200.0,
            log=True,
            help="cosines are multiplied by this in every loss but mse (1 / temperature)",
            why="all pairs count alike, or only the worst one",
        ),
        "positive_from": Range(
            default=0.75,
            low=0.05,
            high=1.0,
            help="label from which a pair means the same: mnrl learns from those, and never takes "
            "texts that they join for different",
        ),
    }


def _course(method: str) -> dict[str, Range]:
    head = method == "head"
    least = f", but at least {LEAST_UPDATES[method]}" if head else ""
    return {
        "epochs": Range(
            default=10 if head else 2, low=1, high=1000, help="passes over the training pairs"
        ),
        "updates": Range(
            default=0,
            low=0,
            high=10_000_000,
            help=f"updates of a training; 0: as many as the epochs make{least}",
        ),
        "ladder_share": Range(
            default=1.0 if head else 0.15,
            low=0.01,
            high=1.0,
            help="share of the updates that auto gives to each rate it tries",
        ),
        "batch_size": Range(
            default=64,
            low=2,
            high=4096,
            log=True,
            search=(16, 256),
            help="pairs for each update",
            why="there is nothing in the batch to compare a pair with",
        ),
        "schedule": Range(
            default="linear",
            choices=("linear", "cosine", "constant"),
            help="how the rate falls after the warm-up",
        ),
        "warmup_share": Range(
            default=0.0 if head else 0.1,
            low=0.0,
            high=0.5,
            help="share of all updates in which the rate rises",
        ),
        "weight_decay": Range(
            default=0.0,
            low=0.0,
            high=10.0,
            help="decay of matrices, times the rate; of a head, towards the base",
        ),
        "max_grad_norm": Range(
            default=1.0, low=0.01, high=1000.0, log=True, help="gradients are clipped to this norm"
        ),
        "eval_every": Range(
            default=1.0 if head else 0.5,
            low=0.05,
            high=10.0,
            help="epochs between looks at the validation pairs; a course has at most 30",
        ),
        "patience": Range(
            default=30 if head else 6,
            low=1,
            high=1000,
            help="looks without improvement until training stops",
        ),
        "keep": Range(
            default="best",
            choices=("best", "last"),
            help="which state is kept: the best on the validation pairs (the start among them), "
            "or the last",
        ),
        "checkpoint_every": Range(
            default=500 if head else 50,
            low=1,
            high=100_000,
            help="updates that a crash can cost at most",
        ),
    }


def _transformer() -> dict[str, Range]:
    return {
        "encoder_dropout": Range(
            default=0.1, low=0.0, high=0.5, help="dropout inside the transformer while it trains"
        ),
        "max_tokens": Range(
            default=256,
            low=8,
            high=32_768,
            help="tokens of a text that are read in training, at most what the base reads",
        ),
        "tokens_per_pass": Range(
            default=8192,
            low=64,
            high=1_048_576,
            help="tokens in one forward pass, padding included; bounds the memory of validation "
            "and of cached-mnrl",
        ),
        "precision": PRECISION,
    }


_LORA = {
    "rank": Range(
        default=16, low=1, high=256, log=True, search=(4, 64), help="rank of each update"
    ),
    "alpha": Range(default=32, low=1, high=512, help="scale of the update, see rslora"),
    "rslora": Range(default=False, help="scale by alpha / sqrt(rank) instead of alpha / rank"),
    "dropout": DROPOUT,
    "target_modules": Range(
        default=ALL_LINEAR,
        help='layers that get an adapter: "all-linear", or names of the base with commas between '
        'them, "query,value"',
    ),
}


def planned_updates(method: str, settings: Mapping[str, Any], rows: int) -> int:
    """Updates of a whole course over `rows` training pairs."""
    made = settings["epochs"] * math.ceil(rows / settings["batch_size"])
    return int(settings["updates"]) or max(int(made), LEAST_UPDATES[method])
