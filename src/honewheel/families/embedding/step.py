"""The gradient of one batch, directly or with the gradients of its vectors cached.

Cached (Gao et al. 2021, arXiv:2101.06983): the vectors are computed without a graph, the loss
gives each of them its gradient, and the texts go through the model a second time, pass by pass,
to carry it into the weights. The result is the same; the memory is that of one pass, so a batch
may be as large as in-batch negatives like it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from honewheel.families.embedding.learner import Learner
from honewheel.families.embedding.losses import Batch, Loss
from honewheel.families.embedding.pairs import Work

CACHED_TEXTS = 64  # that go through the model together under cached-mnrl


@dataclass(frozen=True, slots=True)
class Done:
    """Loss of a batch, and (cos - label)^2 of each of its pairs."""

    loss: float
    errors: list[float]


def backward(
    learner: Learner, work: Work, rows: NDArray[np.int64], loss: Loss, *, cached: bool
) -> Done:
    """Add the gradient of `rows` of the training pairs to the learner's weights."""
    pairs = work.train
    texts, back = np.unique(np.concatenate([pairs.a[rows], pairs.b[rows]]), return_inverse=True)
    if not cached:
        vectors = learner.embed(texts)
        batch = _batch(vectors, work, rows, back)
        value = loss(batch)
        value.backward()  # type: ignore[no-untyped-call]
    else:
        blocks = [texts[at : at + CACHED_TEXTS] for at in range(0, len(texts), CACHED_TEXTS)]
        vectors, draws = _without_graph(learner, blocks)
        vectors.requires_grad_()
        batch = _batch(vectors, work, rows, back)
        value = loss(batch)
        value.backward()  # type: ignore[no-untyped-call]
        assert vectors.grad is not None
        _carry(learner, blocks, draws, vectors.grad)
    errors = (batch.cosines.detach() - batch.label) ** 2
    return Done(float(value.detach()), errors.tolist())


def _batch(
    vectors: torch.Tensor, work: Work, rows: NDArray[np.int64], back: NDArray[np.int64]
) -> Batch:
    pairs, device = work.train, vectors.device
    u, v = (torch.from_numpy(side).to(device) for side in np.split(back, 2))
    label, weight = (
        torch.from_numpy(side[rows]).to(device) for side in (pairs.label, pairs.weight)
    )
    class_u, class_v = (
        torch.from_numpy(work.classes[side[rows]]).to(device) for side in (pairs.a, pairs.b)
    )
    return Batch(
        u=vectors[u],
        v=vectors[v],
        label=label,
        weight=weight,
        class_u=class_u,
        class_v=class_v,
    )


def _without_graph(
    learner: Learner, blocks: list[NDArray[np.int64]]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Vectors of all blocks, and the state of the generator before each (for its dropout)."""
    found, draws = [], []
    with torch.no_grad():
        for block in blocks:
            draws.append(_random_state())
            found.append(learner.embed(block))
    return torch.cat(found), draws


def _carry(
    learner: Learner,
    blocks: list[NDArray[np.int64]],
    draws: list[torch.Tensor],
    gradient: torch.Tensor,
) -> None:
    after, start = _random_state(), 0
    for block, draw in zip(blocks, draws, strict=True):
        _set_random_state(draw)
        vectors = learner.embed(block)
        carried = (vectors * gradient[start : start + len(block)]).sum()
        carried.backward()  # type: ignore[no-untyped-call]
        start += len(block)
    _set_random_state(after)


def _random_state() -> torch.Tensor:
    return torch.cuda.get_rng_state() if torch.cuda.is_available() else torch.get_rng_state()


def _set_random_state(state: torch.Tensor) -> None:
    if torch.cuda.is_available():
        torch.cuda.set_rng_state(state)
    else:
        torch.set_rng_state(state)
