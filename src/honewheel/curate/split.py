"""Where a group goes: train, val or test, by a hash of the group's root.

The answer is recorded at first sight and never computed again (a changed salt would otherwise
move test material into training).
"""

from __future__ import annotations

from honewheel.curate.lots import lot
from honewheel.records import Split

TRAIN_PERCENT = 80
VAL_PERCENT = 10  # early stopping and search; the rest is test, which only the gate reads


def assign(group_root: str, salt: str) -> Split:
    """80 % train, 10 % val, 10 % test, by blake2b of `salt` and `group_root`."""
    percent = int.from_bytes(lot(salt, group_root), "big") % 100
    if percent < TRAIN_PERCENT:
        return "train"
    return "val" if percent < TRAIN_PERCENT + VAL_PERCENT else "test"
