"""Bytes a run needs, part by part, and rough seconds; told before anything heavy loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from honewheel.families import hardware
from honewheel.families.hardware import gigabytes
from honewheel.families.reasoner import base, rows
from honewheel.families.reasoner import shape as shapes
from honewheel.families.reasoner.rows import Kind
from honewheel.families.reasoner.shape import Shape
from honewheel.records import Estimate, Finding, Spec

FLOAT = 4
# What a process takes that has imported torch and transformers and trains something.
LIBRARIES = 450_000_000
# Numbers kept for the backward pass for each position of a block: in units of the hidden size
# (norms and their inputs, queries, keys, values, attention's output), of the inner size of the
# SwiGLU, and of heads x positions (attention's weights).
_KEPT_HIDDEN, _KEPT_INNER, _KEPT_PAIRS = 12, 4, 3
# How far measured peaks lie from the estimate at most, as shares of it.
LOW, HIGH = 0.6, 1.5
# Sustained float operations a second of one core in training shapes as small as these.
_SPEED = 35e9
_ROWS = 32


def estimate(folder: Path, spec: Spec, kinds: Sequence[Kind]) -> Estimate:
    """Bytes by part for training on rows of `kinds`, and rough seconds on one core."""
    shape = sized(folder, spec, kinds)
    batch, updates = _int(spec, "batch_size"), _int(spec, "updates")
    operations = shape.layers * batch * shape.positions_held * _block_operations(shape)
    forward = shape.calls * (2 if shape.kind == "hrm" else 1)  # it looks one segment ahead
    each = operations * (forward + 2 * shape.trained_calls)
    return Estimate(
        bytes_by_part=parts(shape, batch),
        seconds=updates * each / _SPEED,
        low=LOW,
        high=HIGH,
    )


def parts(shape: Shape, batch: int) -> dict[str, int]:
    """Bytes by part for training `batch` rows at once."""
    weights = (shape.weights + shape.task_weights) * FLOAT
    positions = batch * shape.positions_held
    kept = _KEPT_HIDDEN * shape.hidden_size + _KEPT_INNER * shape.inner
    if shape.mixer == "attention":
        kept += _KEPT_PAIRS * shape.heads * shape.positions_held
    return {
        "weights": weights,
        "running mean": weights,
        "starting weights": weights,
        "gradients": weights,
        "optimizer": 2 * weights,
        "carry": 2 * positions * shape.hidden_size * FLOAT,
        "activations": shape.trained_calls * shape.layers * positions * kept * FLOAT,
        "libraries": LIBRARIES,
    }


def machine() -> list[Finding]:
    """Which presets this machine has the memory for, at 32 rows of 81 cells."""
    free = hardware.available()
    if free is None:
        return []
    fitting = []
    for name in shapes.PRESETS:
        shape = base.shape(base.locate(f"{base.PREFIX}{name}"))
        sized = shapes.grown(shape, vocabulary=11, length=81, relations=3, tasks=2)
        if HIGH * sum(parts(sized, _ROWS).values()) <= free:
            fitting.append(name)
    told = ", ".join(fitting) or "no preset"
    message = f"{told} of {base.PREFIX}..., {_ROWS} rows of 81 cells a batch"
    return [
        Finding(code="memory", message=f"{gigabytes(free)} free", severity="warning"),
        Finding(code="can train", message=message, severity="warning" if fitting else "error"),
    ]


def sized(folder: Path, spec: Spec, kinds: Sequence[Kind]) -> Shape:
    """The shape that a run will train."""
    first = base.shape(folder)
    sizes = rows.sizes(kinds)
    sizes["tasks"] += first.tasks  # at most: some may be known already
    grown = shapes.grown(first, **sizes)
    segments = _int(spec, "segments")
    return replace(grown, segments=segments) if segments else grown


def explain(needed: Estimate, free: int | None) -> str:
    """What does not fit, in numbers, and what to change."""
    parts = sorted(needed.bytes_by_part.items(), key=lambda part: -part[1])
    listed = ", ".join(f"{name} {gigabytes(amount)}" for name, amount in parts if amount)
    there = "" if free is None else f" and {gigabytes(free)} are available"
    return (
        f"Training needs about {gigabytes(needed.total_bytes)}{there} ({listed}). Lower "
        "batch_size, or choose a smaller base."
    )


def _block_operations(shape: Shape) -> int:
    """Float operations of one block for one position, forward."""
    hidden = shape.hidden_size
    inner = 6 * hidden * shape.inner
    if shape.mixer == "mlp":
        return inner + 6 * hidden * shape.mixing
    return inner + 8 * hidden * hidden + 4 * hidden * shape.positions_held


def _int(spec: Spec, name: str) -> int:
    value = spec.settings[name]
    assert isinstance(value, int | float)  # settings passed their Range
    return int(value)
