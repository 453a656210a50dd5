"""Bytes a run needs, part by part, and bytes there are: compared before anything heavy loads."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from honewheel.families.causal_lm import ranges as hyperparameters
from honewheel.families.causal_lm.base import tensor_shapes, text_config
from honewheel.families.causal_lm.render import Encoded
from honewheel.records import Estimate, Json, Spec

FLOAT = 4
# What a process takes that has imported torch, transformers and peft, and what the buffers of the
# matrix kernels and of the allocator come to on top, once it trains.
LIBRARIES = 680_000_000
# Float32 values kept for the backward pass, a token and layer, in units of the hidden and of the
# feed-forward size: inputs of norms, matrices and adapters, queries, keys, values, attention
# output. With bfloat16 products some of them take half. Fitted to measured peaks, see
# benchmarks/engine_memory.py and its results.
KEPT_HIDDEN = {"float32": 15, "bfloat16": 9}
KEPT_INNER = 4
# Logits, their softmax and its gradient.
KEPT_LOGITS = 3
# How far measured peaks lie from the estimate at most, as shares of it.
LOW, HIGH = 0.8, 1.25
# Sustained float operations a second and core in training, measured on one AVX-512 core
# (50e9 float32, 70e9 bfloat16); the lower one.
_SPEED = 50e9


def estimate(folder: Path, spec: Spec, rows: Sequence[Encoded], threads: int = 1) -> Estimate:
    """Bytes by part for training on `rows`, and rough seconds on `threads` cores."""
    shapes = tensor_shapes(folder)
    parameters = sum(math.prod(shape) for shape in shapes.values())
    trained = parameters if spec.method == "full" else _adapter(shapes, _int(spec, "rank"))
    widest, scored, split = _widest(rows, _int(spec, "batch_size"), _int(spec, "tokens_per_pass"))
    config = text_config(folder)
    layers, hidden, inner = (
        int(config[key]) for key in ("num_hidden_layers", "hidden_size", "intermediate_size")
    )
    kept = KEPT_HIDDEN[precision(str(spec.settings["precision"]))] * hidden + KEPT_INNER * inner
    activations = widest * layers * kept * FLOAT
    logits = scored * int(config["vocab_size"]) * KEPT_LOGITS * FLOAT
    # In the one pass of a batch gradients come as activations go, and a checkpoint's copy of
    # weights and moments is made when both are gone: only what outgrows these adds to the peak.
    # Where a batch takes several passes, gradients of the earlier ones stay.
    passing = activations + logits
    gradients = trained * FLOAT if split else max(0, trained * FLOAT - passing)
    checkpoint = max(0, 3 * trained * FLOAT - passing)
    tokens = sum(map(len, rows)) * _int(spec, "epochs")
    per_token = (6 if spec.method == "full" else 4) * parameters
    return Estimate(
        bytes_by_part={
            "weights": parameters * FLOAT,
            "adapter": 0 if spec.method == "full" else trained * FLOAT,
            "gradients": gradients,
            "optimizer": 2 * trained * FLOAT,
            "checkpoint": checkpoint,
            "activations": activations,
            "logits": logits,
            "libraries": LIBRARIES,
        },
        seconds=tokens * per_token / (_SPEED * threads),
        low=LOW,
        high=HIGH,
    )


def precision(setting: str) -> str:
    """`setting` with "auto" resolved for this machine's processor."""
    if setting != "auto":
        return setting
    return "bfloat16" if processor_has_bfloat16() else "float32"


def processor_has_bfloat16(path: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether it multiplies bfloat16 matrices natively (else it is slower at them)."""
    flags = set(path.read_text().split()) if path.is_file() else set()
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def plan(folder: Path, spec: Spec, rows: Sequence[Encoded], free: int) -> str | None:
    """The gentlest change with which the run fits into `free` bytes; None when none is enough.

    Narrower passes change no result, so they come first; then adapters instead of all weights.
    """
    longest = max(map(len, rows), default=0)
    for method in dict.fromkeys((spec.method, "lora")):
        tokens = _int(spec, "tokens_per_pass")
        while tokens >= max(longest, 64):
            settings = {**ranges_of(method), **spec.settings, "tokens_per_pass": tokens}
            tried = replace(spec, method=method, settings=settings)
            needed = estimate(folder, tried, rows).total_bytes
            if needed <= free:
                words = [] if method == spec.method else [f'method = "{method}"']
                words += [f"tokens_per_pass = {tokens}"]
                return f"{' and '.join(words)} would fit (about {gigabytes(needed)})"
            tokens //= 2
    return None


def ranges_of(method: str) -> dict[str, Json]:
    """Every hyperparameter of a method at its default."""
    return {key: rule.default for key, rule in hyperparameters.ranges(method).items()}


def _int(spec: Spec, name: str) -> int:
    value = spec.settings[name]
    assert isinstance(value, int | float)  # settings passed their Range
    return int(value)


def _adapter(shapes: Mapping[str, tuple[int, ...]], rank: int) -> int:
    """Weights of LoRA at `rank` on every matrix of the layers."""
    return sum(rank * sum(shape) for name, shape in shapes.items() if _is_linear(name, shape))


def _is_linear(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and "embed" not in name and "lm_head" not in name


def _widest(rows: Sequence[Encoded], batch_size: int, limit: int) -> tuple[int, int, bool]:
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


def peak() -> int | None:
    """Most bytes that this process has held so far (on CUDA: of the card); None without /proc."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return found[0] if found else None


def available() -> int | None:
    """Bytes this process may still take: free memory, or less where a cgroup limits it.

    None where the system does not say (no /proc/meminfo).
    """
    found = [amount for amount in (_free(), _cgroup()) if amount is not None]
    return min(found, default=None)


def _free(path: Path = Path("/proc/meminfo")) -> int | None:
    if not path.is_file():
        return None
    for line in path.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What is left of the cgroup's limit (version 2, else version 1)."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        if (root / limit).is_file() and (root / used).is_file():
            allowed = (root / limit).read_text().strip()
            if allowed == "max":
                return None
            return max(0, int(allowed) - int((root / used).read_text()))
    return None


def explain(needed: Estimate, free: int | None, way_out: str | None = None) -> str:
    """What does not fit, in numbers, and what to change."""
    parts = sorted(needed.bytes_by_part.items(), key=lambda part: -part[1])
    listed = ", ".join(f"{name} {gigabytes(amount)}" for name, amount in parts if amount)
    there = "" if free is None else f" and {gigabytes(free)} are available"
    advice = "Lower tokens_per_pass or max_tokens, use method lora, or choose a smaller base."
    return (
        f"Training needs about {gigabytes(needed.total_bytes)} ({gigabytes(needed.low_bytes)} to "
        f"{gigabytes(needed.high_bytes)}){there} ({listed}). "
        + (f"Set {way_out}." if way_out else advice)
    )


def gigabytes(amount: int) -> str:
    return f"{amount / 1e9:.2f} GB"


def is_exhausted(error: BaseException) -> bool:
    """Whether `error` says that an allocation failed (torch tells the CPU's as RuntimeError)."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    return "can't allocate memory" in text or "not enough memory" in text


def rows_in_cache(folder: Path, tokens: int, share: float = 0.25, most: int = 64) -> int:
    """How many sequences of `tokens` tokens to answer at once: their keys and values may take
    `share` of the free memory (float32), and beyond `most` a batch gains nothing on a CPU.
    """
    free = available()
    if free is None:
        return most
    config = text_config(folder)
    heads = int(config.get("num_key_value_heads") or config["num_attention_heads"])
    size = int(
        config.get("head_dim") or int(config["hidden_size"]) // int(config["num_attention_heads"])
    )
    each = 2 * int(config["num_hidden_layers"]) * heads * size * tokens * FLOAT
    return max(1, min(most, int(free * share) // each))
