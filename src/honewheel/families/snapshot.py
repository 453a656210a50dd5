"""What a checkpoint holds of a running model, and how it is put back, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from honewheel.families.checkpoints import Checkpoint

Parts = Mapping[str, Mapping[str, torch.Tensor]]
Schedule = torch.optim.lr_scheduler.LRScheduler


def trainable(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """Name and weight of everything that is trained; tied weights appear once."""
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def capture(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule
) -> tuple[Parts, dict[str, Any]]:
    """Tensors by part, and the JSON state that belongs to them."""
    held = optimizer.state_dict()
    flat = {
        f"{index}/{name}": value
        for index, values in held["state"].items()
        for name, value in values.items()
    }
    moments: dict[str, torch.Tensor] = {
        key: value for key, value in flat.items() if isinstance(value, torch.Tensor)
    }
    parts: Parts = {"weight": dict(trainable(model)), "optimizer": moments, "rng": _random()}
    return parts, {
        "optimizer": held["param_groups"],
        "counts": {key: value for key, value in flat.items() if key not in moments},
        "schedule": schedule.state_dict(),
    }


def restore(
    saved: Checkpoint,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
) -> None:
    """Put back what `capture` took."""
    load_weights(model, saved)
    moments: dict[int, dict[str, Any]] = {}
    for key, value in {**saved.part("optimizer"), **saved.state["counts"]}.items():
        index, _, name = key.partition("/")
        moments.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": moments, "param_groups": saved.state["optimizer"]})
    schedule.load_state_dict(saved.state["schedule"])
    states = saved.part("rng")
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available() and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])


def not_finite(model: torch.nn.Module) -> list[str]:
    """Names of trained weights with a value that is no finite number."""
    return [name for name, weight in trainable(model) if not bool(weight.isfinite().all())]


def load_weights(model: torch.nn.Module, saved: Checkpoint) -> None:
    """Copy the trained weights of `saved` into `model`."""
    stored = saved.part("weight")
    with torch.no_grad():
        for name, weight in trainable(model):
            weight.copy_(stored[name])


def _random() -> dict[str, torch.Tensor]:
    """Generator states. Only dropout draws during training, and only from torch."""
    found = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state()
    return found
