"""Two small convex fits that `calibration`, `propensity` and `half_life` share.

Both have one minimum, so the result depends on the rows and not on their order (up to rounding).
Here and not from a library because coefficients must be bounded below and pulled towards a prior
other than 0, which the common implementations do not offer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

VERSION = 1

Array: TypeAlias = npt.NDArray[np.float64]
Block: TypeAlias = tuple[float, float, int]  # mean, mass, points


def ridge(
    x: Array,
    y: Array,
    weights: Array,
    *,
    prior: Array,
    strength: Array,
    lower: Array | None = None,
) -> Array:
    """Coefficients (k,) of P(y) = logistic(x @ b) that minimise the penalised log-loss.

    sum_i weights_i loss_i + 1/2 sum_j strength_j (b_j - prior_j)^2, subject to b >= lower.
    `x` (n, k), `y` (n,) in [0, 1]; every strength above 0, so that the minimum is unique. Newton
    steps in the coordinates that are not held at their bound (Bertsekas 1982, "Projected Newton
    methods"), halved until the loss falls.
    """
    low = np.full(x.shape[1], -np.inf) if lower is None else lower

    def at(b: Array) -> float:
        z = x @ b
        penalty = 0.5 * float(strength @ (b - prior) ** 2)
        return float(weights @ (np.logaddexp(0, z) - y * z)) + penalty

    b = np.maximum(prior, low)
    loss = at(b)
    for _ in range(100):
        p = logistic(x @ b)
        gradient = x.T @ (weights * (p - y)) + strength * (b - prior)
        free = (b > low) | (gradient < 0)
        if not free.any() or np.abs(gradient[free]).max() < 1e-9 * (1 + weights.sum()):
            break
        part = x[:, free]
        curve = part.T @ (part * (weights * p * (1 - p))[:, None]) + np.diag(strength[free])
        step = np.zeros_like(b)
        step[free] = -np.linalg.solve(curve, gradient[free])
        moved, new = _shorten(b, step, low, loss, at)
        if new >= loss:
            break
        b, loss = moved, new
    return b


def logistic(z: Array) -> Array:
    """1 / (1 + e^-z), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * z)))


def isotonic(x: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """(x, fitted y) of the non-decreasing least-squares fit, one point for each distinct x.

    Pool adjacent violators (Ayer et al. 1955): neighbours in the wrong order are merged into
    their weighted mean until none is left. Equal x are one point from the start.
    """
    points, place = np.unique(x, return_inverse=True)
    mass = np.bincount(place, weights)
    mean = np.bincount(place, weights * y) / mass
    blocks: list[Block] = []
    for at in range(len(points)):
        block = (float(mean[at]), float(mass[at]), 1)
        while blocks and blocks[-1][0] >= block[0]:
            block = _merged(blocks.pop(), block)
        blocks.append(block)
    return points, np.repeat([block[0] for block in blocks], [block[2] for block in blocks])


def _merged(one: Block, two: Block) -> Block:
    mass = one[1] + two[1]
    return (one[0] * one[1] + two[0] * two[1]) / mass, mass, one[2] + two[2]


def _shorten(
    b: Array, step: Array, low: Array, loss: float, at: Callable[[Array], float]
) -> tuple[Array, float]:
    """Where the longest of 1, 1/2, 1/4 ... steps that lowers the loss leads, and the loss there."""
    share = 1.0
    while share > 1e-10:
        moved = np.maximum(b + share * step, low)
        if (new := at(moved)) < loss:
            return moved, new
        share /= 2
    return b, loss
