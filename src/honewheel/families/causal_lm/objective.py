"""The interface of what a run minimises; `sft.py`, `dpo.py` and `kto.py` bring it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from honewheel.families.causal_lm.scoring import Scorer


class Objective(Protocol):
    """A loss over units. The loss of a batch does not depend on how it is cut into parts."""

    needs_reference: bool  # log-probabilities of each unit's rows under the starting weights

    def begin(self, scorer: Scorer, batch: Sequence[Any]) -> Any:
        """What all parts of `batch` must know: its summed weight, its reference point."""

    def loss(
        self, scorer: Scorer, part: Sequence[Any], shared: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(the part's share of the batch's loss, [units] the loss of each unit, detached)."""
