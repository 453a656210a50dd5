"""What one segment is judged by: the cells it fills, and whether it knows that it is done.

Equations of Wang et al. 2025 (HRM, arXiv:2506.21734) and Jolicoeur-Martineau 2025 (TRM,
arXiv:2510.04871). Labels below 0 carry no loss.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def softmax_cells(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """[B] mean cross-entropy (nats) of each row's labelled cells; logits [B, L, V]."""
    cells = functional.cross_entropy(
        logits.transpose(1, 2), labels, ignore_index=-100, reduction="none"
    )
    return _row_mean(cells, labels)


def stablemax_cells(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The same with s(x) = x + 1 for x >= 0, else 1 / (1 - x), in place of exp(x).

    Its gradient does not vanish as logits grow (Prieto et al. 2025, arXiv:2501.04697). In
    float64, as its authors compute it.
    """
    wide = logits.double()
    # log s, written so that neither branch meets a negative argument in the other's region
    scores = torch.where(
        wide >= 0, torch.log1p(wide.clamp(min=0)), -torch.log1p(-wide.clamp(max=0))
    )
    logs = scores - torch.logsumexp(scores, dim=-1, keepdim=True)
    taken = logs.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return _row_mean(-taken * (labels >= 0), labels).to(logits.dtype)


CELLS: dict[str, Loss] = {"softmax": softmax_cells, "stablemax": stablemax_cells}


def solved(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """[B] whether every labelled cell of a row is right."""
    return ((logits.argmax(-1) == labels) | (labels < 0)).all(-1)


def halting(halt: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy of the halt logits [B] against "this row is exactly right"."""
    return functional.binary_cross_entropy_with_logits(halt, right.to(halt.dtype))


def continuing(go_on: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy of the continue logits [B] against `continue_target`."""
    return functional.binary_cross_entropy_with_logits(go_on, target)


def continue_target(ahead: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """[B] in (0, 1): what going on is worth, from the logits [B, 2] (halt, continue) one segment
    ahead.

    Where the segment ahead is the `last` one ([B] bool), only halting is left there.
    """
    return torch.where(last, ahead[:, 0], ahead.max(dim=1).values).sigmoid()


def _row_mean(cells: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return cells.sum(-1) / (labels >= 0).sum(-1).clamp(min=1)
