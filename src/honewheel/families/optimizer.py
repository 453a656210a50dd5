"""Optimizers by name, over the trainable weights of a model."""

from __future__ import annotations

import torch


def make_optimizer(
    name: str, model: torch.nn.Module, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimizer called "adamw" or "adafactor"; norms and biases (one dimension) do not decay.

    Adafactor (Shazeer and Stern 2018, arXiv:1804.04235) keeps one row and one column for each
    matrix where AdamW keeps two matrices. The rate is taken as it is given: no relative steps and
    no scaling by the size of a weight, with which LoRA's zero matrices would hardly move.
    """
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in trainable if w.ndim > 1], "weight_decay": weight_decay},
        {"params": [w for w in trainable if w.ndim <= 1], "weight_decay": 0.0},
    ]
    used = [group for group in groups if group["params"]]
    if name == "adafactor":
        from transformers.optimization import Adafactor

        plain = {"scale_parameter": False, "relative_step": False, "warmup_init": False}
        found: torch.optim.Optimizer = Adafactor(used, lr=learning_rate, **plain)
        return found
    return torch.optim.AdamW(used, lr=learning_rate, fused=True)
