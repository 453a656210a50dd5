"""What is minimised, as a function of the embeddings of a batch of pairs.

cosent   order: a pair with a lower label should have a lower cosine. log(1 + sum exp(scale
(cos_low - cos_high))) over all such pairs of pairs (Su 2022, kexue.fm/archives/8847)
mse      the label itself: (cos - label)^2
mnrl     in-batch negatives: each text of a positive pair has to find its partner among all
texts of the batch, both ways (Henderson et al. 2017, arXiv:1705.00652)
angle    cosent over differences of angle in complex space, where the cosine saturates, beside
cosent over cosines (Li and Li 2023, arXiv:2309.12871, eq. 5 to 8)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """B pairs: embeddings [B, d] of unit length, labels and weights [B], classes [B] of texts."""

    u: torch.Tensor
    v: torch.Tensor
    label: torch.Tensor
    weight: torch.Tensor
    class_u: torch.Tensor
    class_v: torch.Tensor

    @property
    def cosines(self) -> torch.Tensor:
        """[B]"""
        return (self.u * self.v).sum(1)


Loss = Callable[[Batch], torch.Tensor]


@dataclass(frozen=True)
class Cosent:
    """`scale` is the inverse of a temperature. A batch without two labels costs nothing."""

    scale: float

    def __call__(self, batch: Batch) -> torch.Tensor:
        return _order(self.scale * batch.cosines, batch)


@dataclass(frozen=True)
class Mse:
    """Mean by weight of (cos - label)^2, in [0, 4]."""

    def __call__(self, batch: Batch) -> torch.Tensor:
        errors = (batch.cosines - batch.label) ** 2
        return (errors * batch.weight).sum() / batch.weight.sum()


@dataclass(frozen=True)
class Angle:
    """`scale` as in Cosent, for both of its terms."""

    scale: float

    def __call__(self, batch: Batch) -> torch.Tensor:
        angles = _order(self.scale * _angle_similarity(batch.u, batch.v), batch)
        return angles + _order(self.scale * batch.cosines, batch)


@dataclass(frozen=True)
class Mnrl:
    """Mean nats of finding a partner at `scale`; labels from `positive_from` on are positive."""

    scale: float
    positive_from: float

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Zero where the batch holds no positive pair."""
        rows = torch.nonzero(batch.label >= self.positive_from)[:, 0]
        if not len(rows):
            return (batch.u.sum() + batch.v.sum()) * 0.0
        texts = torch.cat([batch.u, batch.v])
        classes = torch.cat([batch.class_u, batch.class_v])
        size = len(batch.u)
        losses = [
            self._find(rows + own, rows + other, texts, classes)
            for own, other in ((0, size), (size, 0))
        ]
        weight = batch.weight[rows]
        return ((losses[0] + losses[1]) / 2 * weight).sum() / weight.sum()

    def _find(
        self,
        anchor: torch.Tensor,
        partner: torch.Tensor,
        texts: torch.Tensor,
        classes: torch.Tensor,
    ) -> torch.Tensor:
        """[R] loss of each anchor's partner among all texts that are not of the anchor's class."""
        logits = self.scale * texts[anchor] @ texts.T
        hidden = classes[anchor][:, None] == classes[None, :]
        hidden[torch.arange(len(anchor), device=hidden.device), partner] = False
        return cross_entropy(logits.masked_fill(hidden, -torch.inf), partner, reduction="none")


def make(settings: Mapping[str, Any]) -> Loss:
    """The loss that `settings` name, with its own settings."""
    name, scale = settings["loss"], float(settings["scale"])
    if name == "mse":
        return Mse()
    if name in ("mnrl", "cached-mnrl"):
        return Mnrl(scale, float(settings["positive_from"]))
    return Angle(scale) if name == "angle" else Cosent(scale)


def _order(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """log(1 + sum of w_i w_j exp(s_i - s_j)) over i, j where the label of i is below that of j."""
    below = batch.label[:, None] < batch.label[None, :]
    weight = batch.weight.log()
    terms = scores[:, None] - scores[None, :] + weight[:, None] + weight[None, :]
    flat = terms.masked_fill(~below, -torch.inf).flatten()
    return torch.logsumexp(torch.cat([flat.new_zeros(1), flat]), dim=0)


def _angle_similarity(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """[B] |sum of the real and imaginary parts of z / w|, z and w scaled to length one.

    The first half of an embedding is the real part of its complex vector, the second the
    imaginary one.
    """
    a, b = torch.chunk(u, 2, dim=1)
    c, d = torch.chunk(v, 2, dim=1)
    squared = (c**2 + d**2).sum(1, keepdim=True)
    length = ((a**2 + b**2).sum(1, keepdim=True) / squared).sqrt()
    real, imaginary = (a * c + b * d) / squared, (b * c - a * d) / squared
    return (torch.cat([real, imaginary], dim=1) / length).sum(1).abs()
