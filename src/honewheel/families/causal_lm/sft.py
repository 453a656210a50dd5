"""Supervised fine-tuning: cross-entropy on answer tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from honewheel.families.causal_lm.render import Encoded
from honewheel.families.causal_lm.scoring import Scorer, by_row


class Sft:
    """Mean cross-entropy (nats/token) over a batch's answer tokens, weighted by their example."""

    needs_reference = False

    def begin(self, scorer: Scorer, batch: Sequence[Encoded]) -> float:
        """Summed weight of all answer tokens."""
        return float(token_weights(batch).sum())

    def loss(
        self, scorer: Scorer, part: Sequence[Encoded], shared: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Objective.loss`: a scalar and [rows] of mean nats a token."""
        losses = scorer.token_losses(part)
        items = torch.stack([row.mean() for row in by_row(losses.detach(), part)])
        return (losses * token_weights(part).to(losses.device)).sum() / shared, items


def token_weights(rows: Sequence[Encoded]) -> torch.Tensor:
    """[L] float32: the weight of each answer token's example."""
    weights = torch.tensor([row.weight for row in rows], dtype=torch.float32)
    return weights.repeat_interleave(torch.tensor([row.loss_tokens for row in rows]))
