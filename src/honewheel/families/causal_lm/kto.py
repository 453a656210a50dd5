r"""KTO: single answers, each found good or bad, pushed away from a reference point.

With r = log pi(y|x) - log ref(y|x) summed over answer tokens and z0 the reference point, a good
answer costs w_d (1 - sigmoid(beta (r - z0))) and a bad one w_u (1 - sigmoid(beta (z0 - r)))
(Ethayarajh et al. 2024, arXiv:2402.01306, equations 7 and 8).

z0 is how far the policy has moved on answers that do not belong to their prompts: the mean of
log pi(y'|x) - log ref(y'|x) over the batch, not below 0 and without gradient. y' is the answer of
the nearest row before it that has another prompt, which gives TRL's numbers where a batch is the
whole dataset. The partner is fixed for the run, so its reference too is computed once, and a last
batch of one row has a reference point like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from honewheel.families.causal_lm.scoring import Scorer
from honewheel.families.causal_lm.units import EncodedRated


class Shared(NamedTuple):
    """Summed weight of a batch's rows, and its reference point z0 (nats)."""

    weight: float
    point: torch.Tensor


class Kto:
    """The loss above, averaged over a batch with the weights of its rows."""

    needs_reference = True

    def __init__(self, beta: float, desirable_weight: float, undesirable_weight: float) -> None:
        self.beta = beta
        self.desirable_weight, self.undesirable_weight = desirable_weight, undesirable_weight

    def begin(self, scorer: Scorer, batch: Sequence[EncodedRated]) -> Shared:
        """Summed weight of the rows, and the reference point z0 (at least 0, nats)."""
        found = scorer.fixed_log_probs([unit.mismatched for unit in batch])
        before = torch.tensor([unit.reference[1] for unit in batch], device=found.device)
        point = (found - before).mean().clamp(min=0)
        return Shared(sum(unit.weight for unit in batch), point)

    def loss(
        self, scorer: Scorer, part: Sequence[EncodedRated], shared: Shared
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Objective.loss`: a scalar and [rows], in [0, label weight]."""
        found = scorer.log_probs([unit.row for unit in part])
        before = torch.tensor([unit.reference[0] for unit in part], device=found.device)
        good = torch.tensor([unit.desirable for unit in part], device=found.device)
        moved = self.beta * (found - before - shared.point)
        cost = torch.where(good, self.desirable_weight, self.undesirable_weight)
        each = cost * (1 - torch.sigmoid(torch.where(good, moved, -moved)))
        weights = torch.tensor([unit.weight for unit in part], device=found.device)
        return (each * weights).sum() / shared.weight, each.detach()
