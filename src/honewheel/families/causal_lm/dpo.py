r"""Direct preference optimisation: what was chosen should gain more on its rival than it had.

Per pair, with r = log pi(y|x) - log ref(y|x) summed over answer tokens and d = r_chosen -
r_rejected: -(1 - e) log sigmoid(beta d) - e log sigmoid(-beta d) (Rafailov et al. 2023,
arXiv:2305.18290, equation 7; e is the share of pairs that are thought to be the wrong way round).
`sft_weight` adds the mean cross-entropy of the chosen answers, which keeps them from becoming less
likely together with their rivals (Pang et al. 2024, arXiv:2404.19733).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn.functional import logsigmoid

from honewheel.families.causal_lm.scoring import Scorer, by_row
from honewheel.families.causal_lm.units import EncodedPair


class Totals(NamedTuple):
    """Summed weights of a batch: of its pairs, and of the tokens of its chosen answers."""

    pairs: float
    tokens: float


class Dpo:
    """The loss above, averaged over a batch with the weights of its pairs."""

    needs_reference = True

    def __init__(self, beta: float, sft_weight: float, label_smoothing: float) -> None:
        self.beta, self.sft_weight, self.label_smoothing = beta, sft_weight, label_smoothing

    def begin(self, scorer: Scorer, batch: Sequence[EncodedPair]) -> Totals:
        """Summed weight of the pairs, and of the tokens of their chosen answers."""
        return Totals(
            sum(pair.weight for pair in batch),
            sum(pair.weight * pair.chosen.loss_tokens for pair in batch),
        )

    def loss(
        self, scorer: Scorer, part: Sequence[EncodedPair], shared: Totals
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Objective.loss`: a scalar and [pairs], in nats."""
        rows = [pair.chosen for pair in part] + [pair.rejected for pair in part]
        found = by_row(scorer.token_losses(rows), rows)
        summed = torch.stack([row.sum() for row in found])
        reference = torch.tensor(
            [pair.reference[side] for side in (0, 1) for pair in part], device=summed.device
        )
        chosen, rejected = (-summed - reference).chunk(2)
        each = self._sigmoid(self.beta * (chosen - rejected))
        weights = torch.tensor([pair.weight for pair in part], device=summed.device)
        told = summed[: len(part)]  # cross-entropy of the chosen answers
        loss = (each * weights).sum() / shared.pairs
        loss = loss + self.sft_weight * (told * weights).sum() / shared.tokens
        lengths = torch.tensor([pair.chosen.loss_tokens for pair in part], device=summed.device)
        return loss, (each + self.sft_weight * told / lengths).detach()

    def _sigmoid(self, margin: torch.Tensor) -> torch.Tensor:
        wrong = self.label_smoothing
        return -(1 - wrong) * logsigmoid(margin) - wrong * logsigmoid(-margin)
