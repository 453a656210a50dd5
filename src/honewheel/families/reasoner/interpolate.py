"""How far along the way from the starting weights to the tuned ones a run should go.

theta(a) = (1 - a) start + a tuned for a in SHARES (WiSE-FT: Wortsman et al. 2022, arXiv:2109.01903,
eq. 1). Validation rows decide: the share with the best exact match, mean over tasks; among equals
the one that has moved least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from honewheel.families.reasoner.average import Average

SHARES = (0.25, 0.5, 0.75, 1.0)

Score = tuple[float, float]


def choose(scores: Mapping[float, Score]) -> float:
    """The share with the best exact match; the smallest among equals."""
    best = max(exact for exact, _ in scores.values())
    return min(share for share, (exact, _) in scores.items() if exact == best)


def settle(
    mean: Average, first: Mapping[str, torch.Tensor], judge: Callable[[], Score]
) -> dict[str, Any]:
    """Leave `mean` at the chosen share; returns it with the exact match and loss of each.

    `judge` gives the score of the weights that `mean` has at the time.
    """
    tuned = {name: weight.detach().clone() for name, weight in mean.tensors().items()}
    scores: dict[float, Score] = {}
    for share in SHARES:
        _stand(mean, first, tuned, share)
        scores[share] = judge()
    chosen = choose(scores)
    _stand(mean, first, tuned, chosen)
    told = [[share, exact, -loss] for share, (exact, loss) in scores.items()]
    return {"share": chosen, "exact_and_loss": told}


def _stand(
    mean: Average,
    first: Mapping[str, torch.Tensor],
    tuned: Mapping[str, torch.Tensor],
    share: float,
) -> None:
    if share == 1.0:
        mean.restore(tuned)
        return
    mean.restore({name: torch.lerp(first[name], tuned[name], share) for name in tuned})
