"""Hard negatives out of a user's own texts: what is near a text and yet known to be another.

The embedder comes in as vectors; what is mined is only for training, never for a test. A text is
taken as a negative of an anchor when their labels differ, nobody said that they are the same, both
are on the training side, and it is less near than the anchor's own positive by a margin ("positive
aware", Moreira et al. 2024, NV-Retriever): what is nearer than a true positive is more often a
missed positive than a negative. The margin is relative to the size of the positive's cosine,
|cos|, so that it works below zero too. Everything that was dropped is counted by its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from honewheel.curate.labelled import Labelled
from honewheel.errors import InputError

Floats = npt.NDArray[np.float32]
BLOCK = 512  # anchors whose cosines are held at a time
NEAREST = 50  # candidates of an anchor that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """One hard negative: places of both texts, their cosine, that of the anchor's positive."""

    anchor: int
    negative: int
    cosine: float
    positive: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found, and how many candidates each rule dropped."""

    found: tuple[Mined, ...]
    looked_at: int
    dropped: Mapping[str, int]

    @property
    def told(self) -> str:
        """One line for people."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.dropped.items()))
        return (
            f"{len(self.found):,} hard negatives of {self.looked_at:,} candidates; dropped: "
            f"{reasons or 'none'}"
        )


def mine(
    texts: Sequence[Labelled],
    vectors: Floats,
    *,
    same: Collection[frozenset[int]] = (),
    per_text: int = 1,
    margin: float = 0.05,
    least: float = 0.0,
    skip: int = 0,
) -> Report:
    """At most `per_text` hard negatives for each text, the nearest first; each pair once.

    `vectors` [n, d] have length 1. `same` are pairs of places that people called the same,
    whatever their labels. A candidate passes at most `positive - margin * |positive|`, positive
    being the cosine of the anchor's nearest text of its own label, and at least `least`. The
    first `skip` candidates of an anchor are passed over. The order of equal candidates is fixed.

    Raises InputError: vectors and texts do not match, `margin` is outside [0, 1), `per_text` < 1.
    """
    if len(vectors) != len(texts):
        raise InputError(f"{len(texts)} texts came with {len(vectors)} vectors.")
    if not 0 <= margin < 1 or per_text < 1 or skip < 0:
        raise InputError(
            f"margin {margin} is in 0 .. 1 (1 excluded), per_text {per_text} at least 1, skip "
            f"{skip} at least 0."
        )
    labels = np.array([one.label for one in texts])
    dropped: Counter[str] = Counter()
    found: dict[frozenset[int], Mined] = {}
    looked = 0
    for start in range(0, len(texts), BLOCK):
        cosines = vectors[start : start + BLOCK] @ vectors.T
        for row, near in enumerate(cosines):
            anchor = start + row
            own = (labels == labels[anchor]) & (np.arange(len(texts)) != anchor)
            if not own.any():
                dropped["no positive of the anchor"] += 1
                continue
            positive = float(near[own].max())
            limit = positive - margin * abs(positive)
            taken = passed = 0
            for place in np.argsort(-near, kind="stable")[: NEAREST + 1]:
                if place == anchor or taken == per_text:
                    continue
                looked += 1
                pair = frozenset((anchor, int(place)))
                cosine = float(near[place])
                reason = _reason(labels[place] == labels[anchor], pair, same, cosine, limit, least)
                if reason is None and passed < skip:
                    passed += 1
                    reason = "passed over"
                if reason is not None:
                    dropped[reason] += 1
                    continue
                taken += 1
                if pair in found:
                    dropped["found from both sides"] += 1
                else:
                    found[pair] = Mined(
                        anchor=anchor, negative=int(place), cosine=cosine, positive=positive
                    )
    return Report(found=tuple(found.values()), looked_at=looked, dropped=dict(dropped))


def _reason(
    one_label: bool,
    pair: frozenset[int],
    same: Collection[frozenset[int]],
    cosine: float,
    limit: float,
    least: float,
) -> str | None:
    """Why a candidate is no negative; None when it is one."""
    if one_label:
        return "same label"
    if pair in same:
        return "said to be the same"
    if cosine > limit:
        return "nearer than a positive allows"
    return "not near enough" if cosine < least else None
