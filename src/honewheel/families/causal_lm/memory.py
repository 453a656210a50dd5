"""Bytes a run needs, part by part, and bytes there are: compared before anything heavy loads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path

from honewheel.families.causal_lm.base import tensor_shapes, text_config
from honewheel.records import Estimate, Spec

_FLOAT = 4
# Importing torch, transformers and peft takes 0.35 GB (measured); the rest is room for the buffers
# of the matrix kernels and of the allocator.
_LIBRARIES = 650_000_000
# Float32 values kept for the backward pass, a token and layer, in units of the hidden and of the
# feed-forward size: inputs of norms, matrices and adapters, queries, keys, values, attention
# output. Measured peaks were 0.73 to 0.97 of the estimate that these give.
_KEPT_HIDDEN = 18
_KEPT_INNER = 6
# Logits, their float32 copy, their softmax and its gradient.
_KEPT_LOGITS = 4
# Sustained float operations a second and core in training, measured on one AVX-512 core
# (50e9 float32, 70e9 bfloat16); the lower one.
_SPEED = 50e9


def estimate(folder: Path, spec: Spec, rows: Sequence[Sized], threads: int = 1) -> Estimate:
    """Bytes by part for training on `rows`, and rough seconds on `threads` cores."""
    shapes = tensor_shapes(folder)
    parameters = sum(math.prod(shape) for shape in shapes.values())
    trained = parameters if spec.method == "full" else _adapter(shapes, _int(spec, "rank"))
    widest = _widest(rows, _int(spec, "batch_size"), _int(spec, "tokens_per_pass"))
    config = text_config(folder)
    layers, hidden, inner = (
        int(config[key]) for key in ("num_hidden_layers", "hidden_size", "intermediate_size")
    )
    kept = widest * layers * (_KEPT_HIDDEN * hidden + _KEPT_INNER * inner)
    logits = widest * int(config["vocab_size"]) * _KEPT_LOGITS
    tokens = sum(map(len, rows)) * _int(spec, "epochs")
    per_token = (6 if spec.method == "full" else 4) * parameters
    return Estimate(
        bytes_by_part={
            "weights": parameters * _FLOAT,
            "adapter": 0 if spec.method == "full" else trained * _FLOAT,
            "gradients": trained * _FLOAT,
            "optimizer": 2 * trained * _FLOAT,
            "activations": kept * _FLOAT,
            "logits": logits * _FLOAT,
            "libraries": _LIBRARIES,
        },
        seconds=tokens * per_token / (_SPEED * threads),
    )


def _int(spec: Spec, name: str) -> int:
    value = spec.settings[name]
    assert isinstance(value, int | float)  # settings passed their Range
    return int(value)


def _adapter(shapes: Mapping[str, tuple[int, ...]], rank: int) -> int:
    """Weights of LoRA at `rank` on every matrix of the layers."""
    return sum(rank * sum(shape) for name, shape in shapes.items() if is_linear(name, shape))


def is_linear(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a stored tensor is the matrix of a linear layer that may get an adapter."""
    return len(shape) == 2 and "embed" not in name and "lm_head" not in name


def _widest(rows: Sequence[Sized], batch_size: int, limit: int) -> int:
    """Most tokens one forward pass can have: the longest rows meet in one batch."""
    longest = sorted(map(len, rows), reverse=True)[:batch_size]
    return max(min(sum(longest), limit), longest[0]) if longest else 0


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


def explain(needed: Estimate, free: int | None) -> str:
    """What does not fit, in numbers, and what to lower."""
    parts = sorted(needed.bytes_by_part.items(), key=lambda part: -part[1])
    listed = ", ".join(f"{name} {_gigabytes(amount)}" for name, amount in parts if amount)
    there = "" if free is None else f" and {_gigabytes(free)} are available"
    return (
        f"Training needs about {_gigabytes(needed.total_bytes)}{there} ({listed}). "
        "Lower tokens_per_pass or max_tokens, use method lora, or choose a smaller base."
    )


def _gigabytes(amount: int) -> str:
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
    each = 2 * int(config["num_hidden_layers"]) * heads * size * tokens * _FLOAT
    return max(1, min(most, int(free * share) // each))
