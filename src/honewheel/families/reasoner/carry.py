"""The rows that are being worked on: where each stands, and which of them are done.

An update gives every row one segment (deep supervision without unrolling). A row whose halt logit
says so, or that has had all its segments, is replaced by a fresh one before the next update.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from honewheel.families.reasoner.draw import Draw
from honewheel.families.reasoner.model import Reasoner, State

_HELD = ("inputs", "labels", "kind", "steps", "done")


class Carry:
    """B rows with their states. inputs, labels [B, L]; kind, steps, done [B]; state [B, S, d]."""

    def __init__(self, model: Reasoner, rows: int, segments: int) -> None:
        shape = (rows, model.shape.length)
        device = model.first_high.device
        self.model, self.segments = model, segments
        self.inputs = torch.zeros(shape, dtype=torch.long, device=device)
        self.labels = torch.full(shape, -100, dtype=torch.long, device=device)
        self.kind = torch.zeros(rows, dtype=torch.long, device=device)
        self.steps = torch.zeros(rows, dtype=torch.long, device=device)
        self.done = torch.ones(rows, dtype=torch.bool, device=device)
        first = model.start(rows)
        self.state = State(first.high.clone(), first.low.clone())

    def refill(self, draw: Draw, share: float) -> None:
        """Replace the rows that are done; `share` of the training is behind us."""
        count = int(self.done.sum())
        if not count:
            return
        fresh = draw.take(count, share)
        at = self.done.nonzero()[:, 0]
        length = fresh.inputs.shape[1]
        for held, new in ((self.inputs, fresh.inputs), (self.labels, fresh.labels)):
            held[at, :length] = torch.from_numpy(new).to(held.device)
        self.kind[at] = torch.from_numpy(fresh.kind).to(self.kind.device)
        self.state = self.state.replaced(self.done, self.model.start(len(self.done)))
        self.steps = self.steps * ~self.done

    def advance(
        self, state: State, halt: torch.Tensor, rng: np.random.Generator, exploration: float
    ) -> None:
        """Take the next states; a row is done when `halt` [B] says so and it need not go on.

        With probability `exploration` a row must reach a random number of segments, 2 or more.
        """
        rows = len(self.done)
        self.state = State(state.high.float(), state.low.float())
        self.steps = self.steps + 1
        explores = rng.random(rows) < exploration
        random = rng.integers(2, max(self.segments, 2) + 1, rows)
        least = torch.from_numpy(np.where(explores, random, 0)).to(self.steps.device)
        self.done = (halt & (self.steps >= least)) | (self.steps >= self.segments)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything, for a checkpoint."""
        held = {name: getattr(self, name) for name in _HELD}
        return held | {"high": self.state.high, "low": self.state.low}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Stand where `tensors` stood."""
        device = self.done.device
        for name in _HELD:
            setattr(self, name, tensors[name].to(device))
        self.state = State(tensors["high"].to(device), tensors["low"].to(device))
