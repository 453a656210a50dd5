"""Examples -> forward passes without a single padding token.

The sequences of a pass lie end to end in one row; `bounds` says where each begins and ends,
positions restart at 0, and only the positions that predict an answer token reach the LM head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from honewheel.families.causal_lm.render import Encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One forward pass over T tokens, L of which are predicted.

    ids, positions: [1, T] int64. keep: [L] int64, positions whose next token is an answer token.
    targets: [L] int64. bounds: (start, end) of each sequence.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    keep: torch.Tensor
    targets: torch.Tensor
    bounds: tuple[tuple[int, int], ...]

    def to(self, device: torch.device) -> Pass:
        return Pass(
            ids=self.ids.to(device),
            positions=self.positions.to(device),
            keep=self.keep.to(device),
            targets=self.targets.to(device),
            bounds=self.bounds,
        )


def flatten(rows: Sequence[Encoded]) -> Pass:
    """One pass over `rows`, in order."""
    ids: list[int] = []
    positions: list[int] = []
    keep: list[int] = []
    bounds: list[tuple[int, int]] = []
    for row in rows:
        start, end = len(ids), len(ids) + len(row)
        ids += row.ids
        positions += range(len(row))
        keep += range(start + row.answer_start - 1, end - 1)
        bounds.append((start, end))
    kept = torch.tensor(keep)
    flat = torch.tensor(ids)
    return Pass(
        ids=flat[None],
        positions=torch.tensor(positions)[None],
        keep=kept,
        targets=flat[kept + 1],
        bounds=tuple(bounds),
    )
