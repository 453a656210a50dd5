"""Optimizers of a reasoner, and which of its weights belong to single tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch

BETAS = (0.9, 0.95)
# What torch.optim.Optimizer is handed, in words that it has none for.
_TASK = ("tasks.", ".relations")


def of_task(name: str) -> bool:
    """Whether the weight called `name` belongs to single tasks: one row each."""
    return name.startswith(_TASK[0]) or name.endswith(_TASK[1])


def make_optimizer(
    name: str, model: torch.nn.Module, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimizer called "adamw" or "adam_atan2" over all weights of `model`.

    Only matrices that all tasks share decay: a task without rows in a run must stay as it was.
    """
    named = [*model.named_parameters()]
    decays = [weight for key, weight in named if weight.ndim > 1 and not of_task(key)]
    stays = [weight for key, weight in named if weight.ndim <= 1 or of_task(key)]
    groups = [
        {"params": decays, "weight_decay": weight_decay},
        {"params": stays, "weight_decay": 0.0},
    ]
    if name == "adam_atan2":
        return AdamATan2(groups, learning_rate)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS, fused=True)


class AdamATan2(torch.optim.Optimizer):
    """Adam whose step is atan2(m, sqrt(v)) instead of m / (sqrt(v) + epsilon).

    Everett et al. 2024 (arXiv:2407.05872), section 4.3, without their constants: the step does not
    change when all gradients are scaled, and there is no epsilon to choose. Decay as in AdamW.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0, "betas": BETAS})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every weight that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group)
        return loss

    def _move(self, weight: torch.Tensor, group: dict[str, Any]) -> None:
        first, second = group["betas"]
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())
            state["mean"] = torch.zeros_like(weight)
            state["square"] = torch.zeros_like(weight)
        state["step"] += 1
        count = state["step"].item()
        gradient = weight.grad
        assert gradient is not None  # the caller looked
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        mean = state["mean"] / (1 - first**count)
        root = (state["square"] / (1 - second**count)).sqrt()
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(torch.atan2(mean, root), alpha=-group["lr"])
