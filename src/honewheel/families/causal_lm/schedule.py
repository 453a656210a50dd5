"""The learning rate at each update, as a share of its peak. Counts updates, never seconds."""

from __future__ import annotations

import math

import torch


def factor(update: int, total: int, warmup: int, shape: str) -> float:
    """Share of the peak rate at `update` (0-based) of `total`, in (0, 1].

    Rises in `warmup` equal steps to 1, the first of which is above 0 so that no update is wasted;
    then falls in a line or half a cosine towards 0 at `total`, or stays.
    """
    if update < warmup:
        return (update + 1) / warmup
    if shape == "constant":
        return 1.0
    left = (total - update) / max(1, total - warmup)
    return left if shape == "linear" else 0.5 * (1.0 - math.cos(math.pi * left))


def make_schedule(
    optimizer: torch.optim.Optimizer, total: int, warmup: int, shape: str
) -> torch.optim.lr_scheduler.LambdaLR:
    """A torch schedule that follows `factor`."""
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda update: factor(min(update, total), total, warmup, shape)
    )
