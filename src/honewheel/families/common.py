"""Hyperparameters that are the same in several families, word for word."""

from __future__ import annotations

from honewheel.protocols import Range

WARMUP_SHARE = Range(
    default=0.06, low=0.0, high=0.5, help="share of all updates in which the rate rises"
)
MAX_GRAD_NORM = Range(
    default=1.0, low=0.01, high=100.0, log=True, help="gradients are clipped to this norm"
)
CHECKPOINT_EVERY = Range(
    default=50, low=1, high=100_000, help="updates that a crash can cost at most"
)
INTERPOLATE = Range(
    default=False,
    help="go only as far from the starting weights as validation rows ask for: a quarter, "
    "half, three quarters or all of the way",
)
PRECISION = Range(
    default="auto",
    choices=("auto", "bfloat16", "float32"),
    help="arithmetic of the matrix products; auto takes bfloat16 where that is faster",
)
DROPOUT = Range(default=0.0, low=0.0, high=0.5, help="dropout before each adapter")
