"""What this machine can train: precision, free memory, the largest usual base by method."""

from __future__ import annotations

from honewheel.families import hardware
from honewheel.families.causal_lm import memory
from honewheel.families.causal_lm import ranges as hyperparameters
from honewheel.families.precision import LARGE
from honewheel.records import Finding

# A base as language models are shaped: layers = hidden / 64, feed-forward 8/3 of hidden.
_VOCABULARY, _TOKENS = 32_000, 1024


def largest(free: int, method: str) -> int:
    """Parameters of the largest usual base that `method` trains in `free` bytes, 0 for none.

    One row of 1,024 tokens a pass, rank 16, float32; half of the tokens are predicted.
    """
    found = 0
    for hidden in range(64, 16_384, 64):
        layers, inner = hidden // 64, 8 * hidden // 3
        per_layer = 4 * hidden**2 + 3 * hidden * inner
        parameters = layers * per_layer + _VOCABULARY * hidden
        adapter = layers * 16 * (8 * hidden + 3 * (hidden + inner))
        trained = parameters if method == "full" else adapter
        kept = (
            _TOKENS * layers * (memory.KEPT_HIDDEN["float32"] * hidden + memory.KEPT_INNER * inner)
        )
        logits = _TOKENS // 2 * _VOCABULARY * memory.KEPT_LOGITS
        weights = parameters + (0 if method == "full" else adapter)
        floats = weights + 2 * trained + max(3 * trained, kept + logits)
        if memory.HIGH * (floats * memory.FLOAT + memory.LIBRARIES) > free:
            break
        found = parameters
    return found


def machine() -> list[Finding]:
    """Precision, memory and largest sizes, as warnings where they are in the way."""
    free = hardware.available()
    kind = f"bfloat16 (float32 for bases below {_parameters(LARGE)})"
    if not hardware.processor_has_bfloat16():
        kind = "float32 (no bfloat16 in the processor)"
    found = [Finding(code="precision", message=kind, severity="warning")]
    if free is None:
        return found
    sizes = {method: largest(free, method) for method in hyperparameters.METHODS}
    told = ", ".join(f"{method} up to {_parameters(size)}" for method, size in sizes.items())
    found.append(
        Finding(code="memory", message=f"{hardware.gigabytes(free)} free", severity="warning")
    )
    found.append(
        Finding(
            code="can train",
            message=f"{told} parameters, {_TOKENS:,} tokens a pass",
            severity="warning" if max(sizes.values()) else "error",
        )
    )
    return found


def _parameters(count: int) -> str:
    return f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.0f}M"
