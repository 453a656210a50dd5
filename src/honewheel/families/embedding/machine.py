"""What this machine can train: free memory, and the largest usual base by method."""

from __future__ import annotations

from honewheel.families import hardware
from honewheel.families.embedding import ranges as hyperparameters
from honewheel.families.embedding import sizes
from honewheel.records import Finding

# A base as sentence encoders are shaped: heads and layers = hidden / 64, feed-forward 4 hidden.
_VOCABULARY, _TOKENS, _RANK = 30_522, 64, 16
_PAIRS, _TEXTS = 32, 10_000


def largest(free: int, method: str) -> int:
    """Parameters of the largest usual base that `method` trains in `free` bytes, 0 for none.

    A head learns on the vectors of 10,000 texts; the others take 32 pairs of texts of 64 tokens a
    batch, LoRA at rank 16, in float32.
    """
    found = 0
    for hidden in range(64, 16_384, 64):
        layers, inner = hidden // 64, 4 * hidden
        parameters = layers * (4 * hidden**2 + 2 * hidden * inner) + _VOCABULARY * hidden
        if method == "head":
            floats = parameters + _TEXTS * hidden + 4 * hidden**2
        else:
            adapters = 2 * _RANK * layers * (8 * hidden + 2 * (hidden + inner))
            kept = sizes.KEPT_HIDDEN * hidden + sizes.KEPT_INNER * inner
            kept += sizes.KEPT_SCORES * layers * _TOKENS
            trained = parameters if method == "full" else adapters
            floats = parameters + 3 * trained + 2 * _PAIRS * _TOKENS * layers * kept
        if sizes.HIGH * (sizes.FLOAT * floats + sizes.LIBRARIES) > free:
            break
        found = parameters
    return found


def machine() -> list[Finding]:
    """Memory and largest sizes; an error where not even the smallest base fits."""
    free = hardware.available()
    if free is None:
        return []
    fits = {method: largest(free, method) for method in hyperparameters.METHODS}
    told = ", ".join(f"{method} up to {size / 1e6:,.0f}M" for method, size in fits.items())
    return [
        Finding(code="memory", message=f"{hardware.gigabytes(free)} free", severity="warning"),
        Finding(
            code="can train",
            message=f"{told} parameters, {_PAIRS} pairs of {_TOKENS} tokens a batch",
            severity="warning" if max(fits.values()) else "error",
        ),
    ]
