"""Draws that do not depend on what else is drawn: the same seed and name, the same lot.

So a choice among rows does not change when others come or go, nor with their order.
"""

from __future__ import annotations

import hashlib


def lot(seed: int | str, name: str, *, size: int = 8) -> bytes:
    """`size` bytes by blake2b of both, uniform over names.

    >>> lot(0, "a") == lot(0, "a"), lot(0, "a") == lot(1, "a")
    (True, False)
    """
    return hashlib.blake2b(f"{seed}\x1f{name}".encode(), digest_size=size).digest()
