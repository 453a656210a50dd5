"""What a run minimises, as `sft.py`, `dpo.py` and `kto.py` bring it, and its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from honewheel.families.causal_lm.scoring import Scorer, split
from honewheel.families.causal_lm.units import Unit


class Objective(Protocol):
    """A loss over units. The loss of a batch does not depend on how it is cut into parts."""

    needs_reference: bool  # log-probabilities of each unit's rows under the starting weights

    def begin(self, scorer: Scorer, batch: Sequence[Any]) -> Any:
        """What all parts of `batch` must know: its summed weight, its reference point."""

    def loss(
        self, scorer: Scorer, part: Sequence[Any], shared: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(the part's share of the batch's loss, [units] the loss of each unit, detached)."""


def backward(
    objective: Objective,
    scorer: Scorer,
    batch: Sequence[Unit],
    step: Callable[[torch.Tensor], object],
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """(loss of `batch`, losses of its units by pass); `step` adds the gradient of each pass."""
    mean = torch.zeros((), device=scorer.device)
    items = []
    shared = objective.begin(scorer, batch)
    for part in split(batch, scorer.limit):
        loss, each = objective.loss(scorer, part, shared)
        step(loss)
        mean += loss.detach()
        items.append(each)
    return mean, items
