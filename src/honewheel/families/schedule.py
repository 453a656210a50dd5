"""The learning rate at each update, as a share of its peak. Counts updates, never seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Course:
    """The course of a rate over `total` updates, of which `warmup` rise.

    Called with an update (0-based) it gives the share of the peak rate, in (0, 1]. The rate rises
    in `warmup` equal steps to 1, the first of which is above 0 so that no update is wasted. Then
    it stays ("constant"), falls in a line ("linear") or half a cosine ("cosine") towards 0 at
    `total`, or does the latter 1 + `restarts` times in turn ("cosine_restarts", Loshchilov and
    Hutter 2017, arXiv:1608.03983, with cycles of one length).
    """

    total: int
    warmup: int
    shape: str
    restarts: int = 0

    def __call__(self, update: int) -> float:
        update = min(update, self.total)
        if update < self.warmup:
            return (update + 1) / self.warmup
        if self.shape == "constant":
            return 1.0
        left = (self.total - update) / max(1, self.total - self.warmup)
        if self.shape == "linear":
            return left
        if self.shape == "cosine_restarts" and left > 0:
            turns = (1 - left) * (1 + self.restarts)
            left = 1 - (turns - math.floor(turns + 1e-9))  # the small term: 3 x 1/3 is a whole
        return 0.5 * (1.0 - math.cos(math.pi * min(left, 1.0)))


def make_schedule(
    optimizer: torch.optim.Optimizer, course: Course
) -> torch.optim.lr_scheduler.LambdaLR:
    """A torch schedule that follows `course`."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, course)
