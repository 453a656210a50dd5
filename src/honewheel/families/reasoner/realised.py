"""The settings of a run as model, optimizer, schedule and data really have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from honewheel.records import Json

if TYPE_CHECKING:
    from honewheel.families.reasoner.training import _Run


def read(run: _Run) -> dict[str, Json]:
    """Nothing here is copied from the settings: each value is read where it takes effect."""
    groups: list[dict[str, Any]] = run.optimizer.param_groups
    course: Any = run.schedule.lr_lambdas[0]  # a Course
    shape = run.model.shape
    return {
        "kind": shape.kind,
        "learning_rate": groups[0]["initial_lr"],
        "weight_decay": groups[0]["weight_decay"],
        "optimizer": type(run.optimizer).__name__,
        "schedule": course.shape,
        "warmup_updates": course.warmup,
        "updates": course.total,
        "batch_size": len(run.carry.done),
        "segments": run.carry.segments,
        "ema": run.mean.keep,
        "loss": run.cells.__name__.removesuffix("_cells"),
        "augment": run.draw.augment,
        "replay": run.draw.replay,
        "task_first_updates": run.task_only,
        "votes": run.mean.model.config.votes,
        "precision": "bfloat16" if run.bfloat16 else "float32",
        "tasks": [*run.model.config.task_names],
        "trainable_parameters": sum(weight.numel() for weight in run.model.parameters()),
    }
