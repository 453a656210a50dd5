"""The running mean of the weights: what is judged and kept, steadier than the newest weights."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch

from honewheel.families.reasoner.model import Reasoner


class Average:
    """An exponential moving average of the weights of `model`, as a model of its own.

    After n updates the mean keeps min(`keep`, (1 + n) / (10 + n)) of itself, so that early weights
    are soon forgotten.
    """

    def __init__(self, model: Reasoner, keep: float) -> None:
        self.keep = keep
        self.source = model
        self.model = deepcopy(model).eval().requires_grad_(False)
        self._mean = [*self.model.parameters()]
        self._live = [*model.parameters()]

    @torch.no_grad()
    def after(self, updates: int) -> None:
        """Move towards the weights as they are after `updates` updates."""
        keep = min(self.keep, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(self._mean, [weight.detach() for weight in self._live], 1 - keep)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The mean by name, for a checkpoint."""
        return dict(self.model.named_parameters())

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Stand where `tensors` stood."""
        for name, weight in self.model.named_parameters():
            weight.copy_(tensors[name])
