"""The arithmetic that matrix products get on this machine. Imports torch only where it asks it."""

from __future__ import annotations

import math
from pathlib import Path

from honewheel.families.hardware import has_bfloat16
from honewheel.families.weights import tensor_shapes

# On a processor half precision pays from about this many weights: at 5 million the casts eat what
# the products save (1.15x), at 25 million it is 1.5x.
LARGE = 20_000_000


def realised(setting: str, folder: Path) -> str:
    """`setting` with "auto" resolved for this machine and the size of the base in `folder`."""
    import torch

    if setting != "auto":
        return setting
    weights = sum(math.prod(shape) for shape in tensor_shapes(folder).values())
    gains = torch.cuda.is_available() or weights >= LARGE
    return "bfloat16" if gains and has_bfloat16() else "float32"
