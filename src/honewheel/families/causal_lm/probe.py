"""The widest batch of a run, before its first update.

What does not fit then fails, or is cut into smaller passes (room.py), at once and not an hour
later; and how long the run will take is known.
"""

from __future__ import annotations

import time

import torch

from honewheel.families.causal_lm.objective import backward
from honewheel.families.causal_lm.room import Room
from honewheel.families.causal_lm.work import Work


def seconds(work: Work, room: Room, batch_size: int) -> tuple[float, float]:
    """(of forward and backward over the longest units, of each of their tokens).

    Leaves no gradients, but the random state is another one.
    """
    scorer = room.scorer
    batch = sorted(work.units, key=len, reverse=True)[:batch_size]
    scorer.model.train()

    def once() -> float:
        scorer.model.zero_grad(set_to_none=True)
        started = time.monotonic()
        backward(work.objective, scorer, batch, torch.Tensor.backward)
        if scorer.device.type == "cuda":
            torch.cuda.synchronize()
        return time.monotonic() - started

    took = room.fit(batch, once)
    scorer.model.zero_grad(set_to_none=True)
    return took, took / sum(map(len, batch))
