"""Every hyperparameter of a causal LM run: default, allowed values, and why the limits are there.

Rates: a LoRA update needs about ten times the rate of full fine-tuning. The default suits the
embedded base of four million parameters; 2e-4 is usual from half a billion parameters up.

With rank-stabilised LoRA the update is scaled by alpha / sqrt(rank), so 8 at rank 16 doubles it
and stays right when the rank is changed (Kalajdzievski 2023, arXiv:2312.03732).
"""

from __future__ import annotations

from collections.abc import Mapping

from honewheel.errors import ConfigError
from honewheel.protocols import Range

METHODS: tuple[str, ...] = ("lora", "full")

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
    "schedule": Range(
        default="linear",
        choices=("linear", "cosine", "constant"),
        help="how the rate falls after the warm-up",
    ),
    "warmup_share": Range(
        default=0.06, low=0.0, high=0.5, help="share of all updates in which the rate rises"
    ),
    "weight_decay": Range(default=0.0, low=0.0, high=0.5, help="decay of matrices (AdamW)"),
    "max_grad_norm": Range(
        default=1.0, low=0.01, high=100.0, log=True, help="gradients are clipped to this norm"
    ),
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
    "checkpoint_every": Range(
        default=50, low=1, high=100_000, help="updates that a crash can cost at most"
    ),
    "precision": Range(
        default="auto",
        choices=("auto", "bfloat16", "float32"),
        help="arithmetic of the matrix products; auto takes bfloat16 where the processor has it",
    ),
}

_LORA = {
    "learning_rate": Range(
        default=2e-3,
        low=1e-5,
        high=1e-2,
        log=True,
        search=(1e-4, 1e-2),
        help="peak rate; 2e-4 is usual from 0.5B parameters up",
        why="a LoRA update either does not move the model or destroys it",
    ),
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
    "dropout": Range(default=0.0, low=0.0, high=0.5, help="dropout before each adapter"),
}

_FULL = {
    "learning_rate": Range(
        default=2e-4,
        low=1e-6,
        high=2e-3,
        log=True,
        search=(1e-5, 2e-3),
        help="peak rate; 1e-5 is usual from 0.5B parameters up",
        why="full fine-tuning either does not move the model or destroys it",
    ),
}


def ranges(method: str) -> Mapping[str, Range]:
    """Every hyperparameter of `method`. Raises ConfigError on an unknown method."""
    if method not in METHODS:
        raise ConfigError(f"causal-lm has no method {method!r}; it has {' and '.join(METHODS)}.")
    return {**(_LORA if method == "lora" else _FULL), **_SHARED}
