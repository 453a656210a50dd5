"""How far along the way from the starting weights to the tuned ones a run should go.

theta(a) = (1 - a) start + a tuned for a in SHARES; val decides, the test panel never. The smallest
share wins that val cannot tell from the best one: it has moved least from what the model could do
before (WiSE-FT: Wortsman et al. 2022, arXiv:2109.01903, eq. 1).

A LoRA run from the bare base starts where the update B A is zero. Scaling B alone therefore moves
the weights exactly along that line; scaling A too would bend it. One that goes on from a version
has both factors at each end, and both move: the weights then leave the line by
a (1 - a) (B1 - B0)(A1 - A0), which is of second order in what the run changed and nothing at
either end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from honewheel.families import adapters, snapshot
from honewheel.families.causal_lm import loading
from honewheel.families.stopping import improves

SHARES = (0.25, 0.5, 0.75, 1.0)

Weights = Mapping[str, torch.Tensor]


def choose(losses: Mapping[float, Sequence[float]], min_delta: float) -> float:
    """The smallest share that the best one does not beat by more than `min_delta` standard errors.

    `losses` are the losses per validation item (nats per token) of each share, paired by item.
    """
    best = min(losses, key=lambda share: (fmean(losses[share]), share))
    return min(share for share in losses if not improves(losses[share], losses[best], min_delta))


def settle(
    model: Any, start: Weights, judge: Callable[[], list[float]], min_delta: float
) -> dict[str, Any]:
    """Leave `model` at the chosen share; returns it with the mean validation loss of each.

    `judge` gives the losses per validation item of the weights that `model` has at the time.
    """
    tuned = {name: weight.detach().clone() for name, weight in snapshot.trainable(model)}
    losses: dict[float, list[float]] = {}
    for share in SHARES:
        _stand(model, start, tuned, share)
        losses[share] = judge()
    chosen = choose(losses, min_delta)
    _stand(model, start, tuned, chosen)
    return {"share": chosen, "val_losses": [[share, fmean(losses[share])] for share in SHARES]}


def start(model: Any, base: Path, version: Path | None) -> Weights:
    """Where the run of `model` began: at `version`, or at the base.

    From the base, adapters have B at zero, and A, which did not matter then, where it is.
    """
    device = next(model.parameters()).device
    tuned = {name: weight.detach() for name, weight in snapshot.trainable(model)}
    if not any(".lora_B." in name for name in tuned):
        whole = loading.load(version or base, full_precision=True)
        return {name: weight.detach() for name, weight in snapshot.trainable(whole)}
    if version is not None:
        return {name: weight.to(device) for name, weight in adapters.weights(version).items()}
    return {
        name: torch.zeros_like(weight) if ".lora_B." in name else weight.clone()
        for name, weight in tuned.items()
    }


def _stand(model: Any, start: Weights, tuned: Weights, share: float) -> None:
    with torch.no_grad():
        for name, weight in snapshot.trainable(model):
            weight.copy_(
                tuned[name] if share == 1.0 else torch.lerp(start[name], tuned[name], share)
            )
