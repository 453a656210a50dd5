"""The settings of a run as optimizer, schedule, model and adapter really have them."""

from __future__ import annotations

from typing import Any

import torch

from honewheel.families import adapters, snapshot
from honewheel.families.causal_lm.trainer import ObjectiveTrainer
from honewheel.records import Json


def read(
    trainer: ObjectiveTrainer,
    model: Any,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
) -> dict[str, Json]:
    """Nothing here is copied from the settings: each value is read where it takes effect."""
    groups: list[dict[str, Any]] = optimizer.param_groups
    course: Any = schedule.lr_lambdas[0]  # a Course
    objective = trainer.work.objective
    found: dict[str, Json] = {
        "objective": type(objective).__name__.lower(),
        "learning_rate": groups[0]["initial_lr"],
        "weight_decay": groups[0]["weight_decay"],
        "optimizer": type(optimizer).__name__,
        "schedule": course.shape,
        "restarts": course.restarts,
        "warmup_updates": course.warmup,
        "max_grad_norm": trainer.args.max_grad_norm,
        "precision": "bfloat16" if trainer.scorer.bfloat16 else "float32",
        "weights": _stored(model),
        "checkpointing": any(
            getattr(part, "gradient_checkpointing", False) for part in model.modules()
        ),
        "trainable_parameters": sum(weight.numel() for _, weight in snapshot.trainable(model)),
    }
    found |= vars(objective)
    return found | (adapters.realised(model) if hasattr(model, "peft_config") else {})


def _stored(model: Any) -> str:
    """How the base's matrices are stored: "float32", "bfloat16", "nf4"."""
    weights = list(model.parameters())
    states = [state for weight in weights if (state := getattr(weight, "quant_state", None))]
    return str(states[0].quant_type) if states else str(weights[0].dtype).removeprefix("torch.")
