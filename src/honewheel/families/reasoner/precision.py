"""The arithmetic that matrix products get on this machine."""

from __future__ import annotations

from honewheel.families import hardware
from honewheel.families.reasoner.shape import Shape

# On a processor half precision pays from about this many cells times hidden units: below, the
# casts eat what the products save.
LARGE = 6_000


def halves(setting: str, shape: Shape) -> bool:
    """Whether products are taken in bfloat16, "auto" resolved for this machine and shape."""
    if setting != "auto":
        return setting == "bfloat16"
    return shape.positions_held * shape.hidden_size >= LARGE and hardware.has_bfloat16()
