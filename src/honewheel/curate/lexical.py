"""Which texts share their rare words: TF-IDF vectors and nearest neighbours, without any model.

What is chosen with an embedding model is easy or hard for that model's kin, so a test set that is
to judge such models must not be chosen by one. Words count log(1 + n / df) (Salton & Buckley
1988), each once a text; vectors have length 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from honewheel.curate import text

VERSION = 1

BLOCK = 512  # texts whose similarities are held at a time

Floats = npt.NDArray[np.float32]


def vectors(texts: Sequence[str]) -> Any:
    """[n, words] sparse rows of length 1 (0 for a text without words)."""
    from scipy.sparse import csr_array

    places: dict[str, int] = {}
    columns: list[int] = []
    starts = [0]
    for one in texts:
        words = sorted(set(text.words(one)))
        columns += [places.setdefault(word, len(places)) for word in words]
        starts.append(len(columns))
    count = np.bincount(columns, minlength=max(1, len(places)))
    weight = np.log1p(len(texts) / np.maximum(count, 1)).astype(np.float32)
    data = weight[columns] if columns else np.zeros(0, dtype=np.float32)
    rows = np.repeat(np.arange(len(texts)), np.diff(starts))
    squares = np.zeros(len(texts))
    np.add.at(squares, rows, data**2)
    scaled = (data / np.sqrt(np.maximum(squares, 1e-24))[rows]).astype(np.float32)
    return csr_array((scaled, columns, starts), shape=(len(texts), max(1, len(places))))


def similarities(found: Any) -> Iterator[tuple[int, Floats]]:
    """(place of the first row, [block, n] cosines in [0, 1]) for all rows, a block at a time."""
    for start in range(0, found.shape[0], BLOCK):
        block: Floats = (found[start : start + BLOCK] @ found.T).toarray()
        yield start, block


def of_pairs(pairs: Sequence[tuple[str, str]]) -> Floats:
    """[n] cosine of the two texts of each pair, in [0, 1], over the words of all of them."""
    found = vectors([one for pair in pairs for one in pair])
    both: Floats = np.asarray(found[0::2].multiply(found[1::2]).sum(axis=1), np.float32).ravel()
    return both
