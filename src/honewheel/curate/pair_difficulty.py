"""How hard pairs of texts are without asking a model, and whether train and test are equally hard.

A pair of the same is hard when its texts share few words, one that is not the same when they share
many: difficulty is the distance between the TF-IDF cosine and what was said, in [0, 1]. A model
that was trained on easy pairs and tested on hard ones looks worse than its base, and the other way
round it looks better than it is; so where the two histograms differ, the build says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from honewheel.curate import lexical
from honewheel.records import Example, Item
from honewheel.tasks import pairs

VERSION = f"1.{lexical.VERSION}"

BINS = 5  # of the histogram over [0, 1]
SHIFT = 0.15  # distance of the two distributions from which they differ
FEW = 40  # pairs of a side below which nothing is said
CHANCE = 0.001  # of a warning where nothing differs

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Two histograms (shares in BINS equal bins) and how far apart the distributions are.

    `distance` is Kolmogorov's and Smirnov's, in [0, 1]; `differ` says whether it is large and no
    chance. Medians are of the difficulties.
    """

    train: tuple[float, ...]
    test: tuple[float, ...]
    train_median: float
    test_median: float
    distance: float
    differ: bool

    @property
    def told(self) -> str:
        """The warning, for people."""
        word = "easier" if self.train_median < self.test_median else "harder"
        return (
            f"training pairs are {word} than the test pairs: median difficulty "
            f"{self.train_median:.2f} against {self.test_median:.2f}, by the words they share "
            f"(shares in fifths {_shares(self.train)} against {_shares(self.test)}). What is "
            "learnt of one kind need not show on the other: record pairs of the missing kind."
        )


def of(rows: Sequence[tuple[str, str, float]]) -> Floats:
    """[n] difficulty of (text, text, what was said), over the words of all of them."""
    if not rows:
        return np.zeros(0)
    cosines = lexical.of_pairs([(a, b) for a, b, _ in rows]).astype(float)
    found: Floats = np.abs(cosines - np.array([number for _, _, number in rows]))
    return found


def shift(train: Sequence[tuple[str, str, float]], test: Sequence[tuple[str, str, float]]) -> Shift:
    """How the difficulties of two sets of pairs compare; both at least one pair."""
    from scipy.stats import ks_2samp

    found = of([*train, *test])
    left, right = found[: len(train)], found[len(train) :]
    test_of = ks_2samp(left, right)
    enough = min(len(left), len(right)) >= FEW
    return Shift(
        train=_histogram(left),
        test=_histogram(right),
        train_median=float(np.median(left)),
        test_median=float(np.median(right)),
        distance=float(test_of.statistic),
        differ=bool(enough and test_of.statistic >= SHIFT and test_of.pvalue < CHANCE),
    )


def warnings(train: Sequence[Example], held_out: Sequence[Item]) -> tuple[str, ...]:
    """A sentence for each task of pairs whose training is easier or harder than its test."""
    found = []
    for task in sorted({row.task for row in train}):
        ours = said([row for row in train if row.task == task])
        theirs = asked([item for item in held_out if item.task == task])
        if ours and theirs and (one := shift(ours, theirs)).differ:
            found.append(f"{task}: {one.told}")
    return tuple(found)


def ranks(rows: Sequence[Example]) -> Mapping[str, float]:
    """Group -> share of the pairs of its class (the same, or not) that are no harder, in (0, 1).

    Ranks within a class, so that every phase of a curriculum holds both in their proportion.
    """
    known = [row for row in rows if _pair(row) is not None]
    difficulty = of([found for row in known if (found := _pair(row)) is not None])
    classes: dict[tuple[str, bool], list[tuple[float, str]]] = {}
    for row, hard in zip(known, difficulty, strict=True):
        same = float(row.target) >= 0.5
        classes.setdefault((row.task, same), []).append((float(hard), row.group))
    return {
        group: round((place + 0.5) / len(found), 6)
        for found in classes.values()
        for place, (_, group) in enumerate(sorted(found))
    }


def _pair(row: Example) -> tuple[str, str, float] | None:
    both = pairs.texts(row.prompt, row.context)
    number = _number(row.target)
    return None if both is None or number is None else (*both, number)


def said(rows: Sequence[Example]) -> list[tuple[str, str, float]]:
    """(text, text, what was said) of the rows that are pairs."""
    return [found for row in rows if (found := _pair(row)) is not None]


def asked(items: Sequence[Item]) -> list[tuple[str, str, float]]:
    """(text, text, what was said) of the items that are pairs."""
    found = []
    for item in items:
        both, number = pairs.texts(item.prompt, item.context), _number(item.reference)
        if both is not None and number is not None:
            found.append((*both, number))
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _histogram(values: Floats) -> tuple[float, ...]:
    counts, _ = np.histogram(values, bins=BINS, range=(0.0, 1.0))
    return tuple(float(count) / len(values) for count in counts)


def _shares(found: Sequence[float]) -> str:
    return "/".join(f"{100 * share:.0f}" for share in found)
