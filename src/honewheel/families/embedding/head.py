"""The head: one residual matrix on top of unit vectors, and its files.

    z = normalise(x + x W),  W [d, d], zero at the start

so a fresh head is the base itself, and decay of W is decay towards the base.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

WEIGHTS = "head.safetensors"


class Residual(torch.nn.Module):
    """`dimension` is d of the base's vectors."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.zeros(dimension, dimension))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, d] unit vectors to [n, d] unit vectors."""
        return normalize(x + x @ self.matrix, dim=1)


def save(head: Residual, folder: Path) -> None:
    """Write the matrix into `folder`."""
    tensors = {"matrix": head.matrix.detach().cpu().contiguous()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def load(folder: Path) -> Residual:
    """The head in `folder`."""
    stored = load_file(folder / WEIGHTS)["matrix"]
    found = Residual(stored.shape[0])
    with torch.no_grad():
        found.matrix.copy_(stored)
    return found
