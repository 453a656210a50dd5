"""Every hyperparameter of a causal LM run: default, allowed values, and why the limits are there.

A run has a method (which weights are trained) and an objective (what is minimised); together they
decide which settings there are.

Rates: a LoRA update needs about ten times the rate of full fine-tuning, and preferences less than
targets, since the log-probability of a whole answer moves faster than that of a token. The
defaults suit the embedded base of four million parameters.

With rank-stabilised LoRA the update is scaled by alpha / sqrt(rank), so 8 at rank 16 doubles it
and stays right when the rank is changed (Kalajdzievski 2023, arXiv:2312.03732).
"""

from __future__ import annotations

from collections.abc import Mapping

from honewheel.errors import ConfigError
from honewheel.families.common import (
    CHECKPOINT_EVERY,
    DROPOUT,
    INTERPOLATE,
    MAX_GRAD_NORM,
    PRECISION,
    WARMUP_SHARE,
)
from honewheel.families.names import ALL_LINEAR
from honewheel.protocols import START, START_RANGE, Range

METHODS: tuple[str, ...] = ("lora", "full")
OBJECTIVES: tuple[str, ...] = ("sft", "dpo", "kto")

_SHARED = {
    "epochs": Range(
        default=5, low=1, high=100, help="passes over the training examples", why="it overfits"
    ),
    "updates": Range(
        default=0,
        low=0,
        high=10_000_000,
        help="updates of a training, whatever the epochs make; 0: as many as the epochs make",
    ),
    "batch_size": Range(
        default=8,
        low=1,
        high=512,
        log=True,
        search=(4, 32),
        help="examples for each update",
        why="updates are too few",
    ),
    "optimizer": Range(
        default="adamw",
        choices=("adamw", "adafactor"),
        help="adafactor keeps far less state: for full fine-tuning where memory is short",
    ),
    "schedule": Range(
        default="linear",
        choices=("linear", "cosine", "cosine_restarts", "constant"),
        help="how the rate falls after the warm-up",
    ),
    "restarts": Range(
        default=1, low=0, high=100, help="times the rate rises again under cosine_restarts"
    ),
    "warmup_share": WARMUP_SHARE,
    "weight_decay": Range(default=0.0, low=0.0, high=0.5, help="decay of matrices, times the rate"),
    "max_grad_norm": MAX_GRAD_NORM,
    "max_tokens": Range(
        default=1024,
        low=16,
        high=131_072,
        help="longest example (prompt and answer); longer ones are left out and counted",
    ),
    "tokens_per_pass": Range(
        default=8192,
        low=64,
        high=1_048_576,
        help="tokens in one forward pass; a larger batch is split, which bounds memory and "
        "changes nothing else",
    ),
    "eval_every": Range(
        default=0.5, low=0.05, high=1.0, help="share of an epoch between validation losses"
    ),
    "patience": Range(
        default=4, low=1, high=100, help="validations without improvement until training stops"
    ),
    "min_delta": Range(
        default=1.0,
        low=0.0,
        high=5.0,
        help="an improvement must exceed this many standard errors of the paired difference",
    ),
    "interpolate": INTERPOLATE,
    "checkpoint_every": CHECKPOINT_EVERY,
    "checkpointing": Range(
        default=False,
        help="keep only the input of each layer for the backward pass and compute the rest again: "
        "less memory, more time",
    ),
    "precision": PRECISION,
}

_LORA = {
    "rank": Range(
        default=16,
        low=1,
        high=256,
        log=True,
        search=(4, 64),
        help="rank of each update",
        why="full fine-tuning is cheaper",
    ),
    "alpha": Range(default=8, low=1, high=512, help="scale of the update, see rslora"),
    "rslora": Range(default=True, help="scale by alpha / sqrt(rank) instead of alpha / rank"),
    "dropout": DROPOUT,
    "target_modules": Range(
        default=ALL_LINEAR,
        help='layers that get an adapter: "all-linear" (all but the LM head), or names of the '
        'base with commas between them, "q_proj,v_proj"',
    ),
    "quantisation": Range(
        default="none",
        choices=("none", "nf4"),
        help="how the frozen base is held while training; nf4 (QLoRA) takes a quarter of the "
        "memory of 16 bits, is slower, and needs CUDA and bitsandbytes",
    ),
}

_PREFERENCE = {
    "beta": Range(
        default=0.1,
        low=0.01,
        high=10.0,
        log=True,
        search=(0.03, 1.0),
        help="how strongly the model is held to its starting weights",
        why="it either forgets what it was or does not move",
    ),
}

_OBJECTIVES: Mapping[str, Mapping[str, Range]] = {
    "sft": {},
    "dpo": {
        **_PREFERENCE,
        "sft_weight": Range(
            default=0.2,
            low=0.0,
            high=10.0,
            help="weight of an added cross-entropy of the chosen answers; 0: none",
        ),
        "label_smoothing": Range(
            default=0.0,
            low=0.0,
            high=0.45,
            help="share of pairs that are thought to be the wrong way round",
            why="the pairs say next to nothing",
        ),
    },
    "kto": {
        **_PREFERENCE,
        "desirable_weight": Range(
            default=1.0, low=0.05, high=20.0, log=True, help="weight of answers found good"
        ),
        "undesirable_weight": Range(
            default=1.0, low=0.05, high=20.0, log=True, help="weight of answers found bad"
        ),
    },
}

_RATES: Mapping[tuple[str, str], Range] = {
    ("lora", "sft"): Range(
        default=2e-3,
        low=1e-5,
        high=1e-2,
        log=True,
        search=(1e-4, 1e-2),
        help="peak rate; 2e-4 is usual from 0.5B parameters up",
        why="a LoRA update either does not move the model or destroys it",
    ),
    ("full", "sft"): Range(
        default=2e-4,
        low=1e-6,
        high=2e-3,
        log=True,
        search=(1e-5, 2e-3),
        help="peak rate; 1e-5 is usual from 0.5B parameters up",
        why="full fine-tuning either does not move the model or destroys it",
    ),
    # Above 5e-4 KTO forgets other tasks; DPO does above 1e-3 (benchmarks/results/preferences.json).
    ("lora", "preferences"): Range(
        default=5e-4,
        low=1e-7,
        high=2e-3,
        log=True,
        search=(1e-5, 1e-3),
        help="peak rate; 5e-6 to 2e-5 is usual from 0.5B parameters up",
        why="a preference either does not move the model or destroys it",
    ),
    ("full", "preferences"): Range(
        default=5e-5,
        low=1e-8,
        high=5e-4,
        log=True,
        search=(1e-6, 2e-4),
        help="peak rate; 5e-7 to 1e-6 is usual from 0.5B parameters up",
        why="a preference either does not move the model or destroys it",
    ),
}


def ranges(method: str, objective: str = OBJECTIVES[0]) -> Mapping[str, Range]:
    """Every hyperparameter of `method` with `objective`. Raises ConfigError on an unknown one."""
    if method not in METHODS:
        raise ConfigError(f"causal-lm has no method {method!r}; it has {' and '.join(METHODS)}.")
    if objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise ConfigError(f"causal-lm has no objective {objective!r}; it has {known}.")
    told = {"sft": "learn from targets", "dpo": "from pairs", "kto": "from rated answers"}
    chosen = Range(
        default=objective,
        choices=OBJECTIVES,
        help="; ".join(f"{name}: {text}" for name, text in told.items()),
    )
    rate = _RATES[method, "sft" if objective == "sft" else "preferences"]
    return {
        "objective": chosen,
        START: START_RANGE,
        "learning_rate": rate,
        **_OBJECTIVES[objective],
        **(_LORA if method == "lora" else {}),
        **_SHARED,
    }
