"""Bytes a run needs, part by part, and bytes there are: compared before anything heavy loads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from honewheel.families import hardware
from honewheel.families.causal_lm import ranges as hyperparameters
from honewheel.families.causal_lm.base import text_config
from honewheel.families.causal_lm.units import Unit
from honewheel.families.hardware import gigabytes
from honewheel.families.names import ALL_LINEAR
from honewheel.families.precision import realised
from honewheel.families.weights import tensor_shapes
from honewheel.records import Estimate, Json, Spec

FLOAT = 4
# Bytes of a weight in NF4 with double quantisation: 4 bits, 8 bits for each 64, 32 for each 256 of
# those (Dettmers et al. 2023, arXiv:2305.14314, section 3).
_NF4 = 1 / 2 + 1 / 64 + 4 / (64 * 256)
# What a process takes that has imported torch, transformers and peft, and what the buffers of the
# matrix kernels and of the allocator come to on top, once it trains.
LIBRARIES = 680_000_000
# Float32 values kept for the backward pass, a token and layer, in units of the hidden and of the
# feed-forward size: inputs of norms, matrices and adapters, queries, keys, values, attention
# output. With bfloat16 products some of them take half. Fitted to measured peaks, see
# benchmarks/engine_memory.py and its results.
KEPT_HIDDEN = {"float32": 15, "bfloat16": 11}
KEPT_INNER = 4
# Logits, their softmax and its gradient.
KEPT_LOGITS = 3
# How far measured peaks lie from the estimate at most, as shares of it.
LOW, HIGH = 0.8, 1.25
# Sustained float operations a second and core in training, measured on one AVX-512 core
# (50e9 float32, 70e9 bfloat16); the lower one.
_SPEED = 50e9


def estimate(folder: Path, spec: Spec, rows: Sequence[Unit], threads: int = 1) -> Estimate:
    """Bytes by part for training on `rows`, and rough seconds on `threads` cores."""
    shapes = tensor_shapes(folder)
    parameters = sum(math.prod(shape) for shape in shapes.values())
    trained = parameters if spec.method == "full" else _adapter(shapes, spec)
    widest, scored, split = _widest(rows, _int(spec, "batch_size"), _int(spec, "tokens_per_pass"))
    config = text_config(folder)
    layers, hidden, inner = (
        int(config[key]) for key in ("num_hidden_layers", "hidden_size", "intermediate_size")
    )
    arithmetic = realised(str(spec.settings["precision"]), folder)
    kept = KEPT_HIDDEN[arithmetic] * hidden + KEPT_INNER * inner
    # With checkpointing each layer keeps its input, and one at a time is computed again.
    again = spec.settings["checkpointing"]
    activations = widest * (layers * hidden + kept if again else layers * kept) * FLOAT
    logits = scored * int(config["vocab_size"]) * KEPT_LOGITS * FLOAT
    # In the one pass of a batch gradients come as activations go, and a checkpoint's copy of
    # weights and moments is made when both are gone: only what outgrows these adds to the peak.
    # Where a batch takes several passes, gradients of the earlier ones stay.
    passing = activations + logits
    state = _state(shapes, spec)
    gradients = trained * FLOAT if split else max(0, trained * FLOAT - passing)
    checkpoint = max(0, (trained + state) * FLOAT - passing)
    tokens = sum(map(len, rows)) * _int(spec, "epochs")
    per_token = ((6 if spec.method == "full" else 4) + (2 if again else 0)) * parameters
    return Estimate(
        bytes_by_part={
            "weights": _held(shapes, str(spec.settings.get("quantisation", "none"))),
            "adapter": 0 if spec.method == "full" else trained * FLOAT,
            "gradients": gradients,
            "optimizer": state * FLOAT,
            "checkpoint": checkpoint,
            "activations": activations,
            "logits": logits,
            "libraries": LIBRARIES,
        },
        seconds=tokens * per_token / (_SPEED * threads),
        low=LOW,
        high=HIGH,
    )


def plan(folder: Path, spec: Spec, rows: Sequence[Unit], free: int) -> str | None:
    """The gentlest change with which the run fits into `free` bytes; None when none is enough.

    Narrower passes change no result, so they come first; then adapters instead of all weights.
    """
    longest = max(map(len, rows), default=0)
    for method in dict.fromkeys((spec.method, "lora")):
        tokens = _int(spec, "tokens_per_pass")
        while tokens >= max(longest, 64):
            defaults = ranges_of(method, str(spec.settings["objective"]))
            settings = {**defaults, **spec.settings, "tokens_per_pass": tokens}
            tried = replace(spec, method=method, settings=settings)
            needed = estimate(folder, tried, rows).total_bytes
            if needed <= free:
                words = [] if method == spec.method else [f'method = "{method}"']
                words += [f"tokens_per_pass = {tokens}"]
                return f"{' and '.join(words)} would fit (about {gigabytes(needed)})"
            tokens //= 2
    return None


def ranges_of(method: str, objective: str) -> dict[str, Json]:
    """Every hyperparameter of a method and an objective at its default."""
    found = hyperparameters.ranges(method, objective)
    return {key: rule.default for key, rule in found.items()}


def _int(spec: Spec, name: str) -> int:
    value = spec.settings[name]
    assert isinstance(value, int | float)  # settings passed their Range
    return int(value)


def _adapter(shapes: Mapping[str, tuple[int, ...]], spec: Spec) -> int:
    """Weights of LoRA on the matrices that get an adapter."""
    return sum(_int(spec, "rank") * sum(shape) for shape in _adapted(shapes, spec))


def _adapted(shapes: Mapping[str, tuple[int, ...]], spec: Spec) -> list[tuple[int, ...]]:
    """Shapes of the matrices that get an adapter."""
    asked = str(spec.settings["target_modules"])
    names = {name.strip() for name in asked.split(",")}
    return [
        shape
        for name, shape in shapes.items()
        if is_linear(name, shape) and (asked == ALL_LINEAR or name.split(".")[-2] in names)
    ]


def _held(shapes: Mapping[str, tuple[int, ...]], quantisation: str) -> int:
    """Bytes of the weights of a base as it is held while training."""
    found = 0.0
    for name, shape in shapes.items():
        narrow = quantisation != "none" and is_linear(name, shape)
        found += math.prod(shape) * (_NF4 if narrow else FLOAT)
    return round(found)


def _state(shapes: Mapping[str, tuple[int, ...]], spec: Spec) -> int:
    """Numbers that the optimizer keeps: two a weight, or a row and a column a matrix."""
    full = spec.method == "full"
    if full:
        matrices = list(shapes.values())
    else:
        rank = _int(spec, "rank")
        matrices = [
            pair for out, into in _adapted(shapes, spec) for pair in ((rank, into), (out, rank))
        ]
    if spec.settings["optimizer"] == "adafactor":
        return sum(map(sum, matrices))
    return 2 * sum(map(math.prod, matrices))


def is_linear(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a stored tensor is the matrix of a linear layer that may get an adapter."""
    return len(shape) == 2 and "embed" not in name and "lm_head" not in name


def _widest(rows: Sequence[Unit], batch_size: int, limit: int) -> tuple[int, int, bool]:
    """Most tokens one forward pass can have, how many of them are predicted, and whether its batch
    takes more passes: the longest rows meet in one batch.
    """
    longest = sorted(rows, key=len, reverse=True)[:batch_size]
    if not longest:
        return 0, 0, False
    total = sum(map(len, longest))
    tokens = max(min(total, limit), len(longest[0]))
    scored = math.ceil(tokens * sum(row.loss_tokens for row in longest) / total)
    return tokens, scored, tokens < total


def explain(needed: Estimate, free: int | None, way_out: str | None = None) -> str:
    """What does not fit, in numbers, and what to change."""
    parts = sorted(needed.bytes_by_part.items(), key=lambda part: -part[1])
    listed = ", ".join(f"{name} {gigabytes(amount)}" for name, amount in parts if amount)
    there = "" if free is None else f" and {gigabytes(free)} are available"
    advice = (
        "Lower tokens_per_pass or max_tokens, set checkpointing = true, use method lora, or choose "
        "a smaller base."
    )
    return (
        f"Training needs about {gigabytes(needed.total_bytes)} ({gigabytes(needed.low_bytes)} to "
        f"{gigabytes(needed.high_bytes)}){there} ({listed}). "
        + (f"Set {way_out}." if way_out else advice)
    )


def rows_in_cache(folder: Path, tokens: int, share: float = 0.25, most: int = 64) -> int:
    """How many sequences of `tokens` tokens to answer at once: their keys and values may take
    `share` of the free memory (float32), and beyond `most` a batch gains nothing on a CPU.
    """
    free = hardware.available()
    if free is None:
        return most
    config = text_config(folder)
    heads = int(config.get("num_key_value_heads") or config["num_attention_heads"])
    size = int(
        config.get("head_dim") or int(config["hidden_size"]) // int(config["num_attention_heads"])
    )
    each = 2 * int(config["num_hidden_layers"]) * heads * size * tokens * FLOAT
    return max(1, min(most, int(free * share) // each))
