"""Texts as short vectors whose cosine tells how much they share; no model is asked.

Words, word pairs and character 4-grams are hashed into buckets, weighted by tf-idf (1 + log tf,
smoothed idf over the texts given) and projected by random signs to 64 dimensions (Achlioptas
2003; Johnson & Lindenstrauss). The cosine of two texts is off by about (1 - cosine^2) / 8: exact
for copies, rough for strangers.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from honewheel.curate import text

VERSION = f"1.{text.VERSION}"

DIMENSIONS = 64
BUCKETS = 2**14
GRAM = 4  # characters
LONGEST = 20_000  # characters of a text that count; artifacts are shorter

Vectors: TypeAlias = npt.NDArray[np.float32]  # [texts, DIMENSIONS], unit rows

_SEED = 20_011
_PAIR = np.uint32(0x9E3779B1)  # odd: a pair's hash depends on the order of its words
_BASE = np.uint32(0x01000193)


def embed(texts: Sequence[str]) -> Vectors:
    """[n, 64] float32, each row of length 1; a text without a word or 4-gram is all zeros.

    The idf comes from `texts`, so vectors compare within one call only.
    """
    bags = [_bag(one) for one in texts]
    seen = np.zeros(BUCKETS, dtype=np.int64)
    for buckets, _ in bags:
        seen[buckets] += 1
    rarity = np.log((1 + len(bags)) / (1 + seen)) + 1
    found = np.zeros((len(bags), DIMENSIONS), dtype=np.float32)
    for row, (buckets, counts) in enumerate(bags):
        weights = (1 + np.log(counts)) * rarity[buckets]
        found[row] = weights.astype(np.float32) @ _signs()[buckets]
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    found /= np.where(lengths > 0, lengths, 1)
    return found


def _bag(source: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Distinct buckets of a text, ascending, and how often each occurs."""
    plain = text.canonical(source[:LONGEST])
    words = np.array([_hash(word) for word in text.words(plain)], dtype=np.uint32)
    pairs = words[:-1] * _PAIR + words[1:]
    letters = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    grams = np.zeros(max(0, len(letters) - GRAM + 1), dtype=np.uint32)
    for place in range(GRAM):
        grams = grams * _BASE + letters[place : place + len(grams)]
    buckets, counts = np.unique(_spread(np.concatenate([words, pairs, grams])), return_counts=True)
    return buckets, counts


def _spread(hashes: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Buckets of 32-bit hashes: the top bits of a product that mixes all of them."""
    mixed = (hashes ^ (hashes >> np.uint32(15))) * np.uint32(0x85EBCA6B)
    return (mixed >> np.uint32(32 - BUCKETS.bit_length() + 1)).astype(np.int64)


@cache
def _hash(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))


@cache
def _signs() -> Vectors:
    """[BUCKETS, DIMENSIONS] of -1 and 1, the same everywhere."""
    bits = np.random.Generator(np.random.PCG64(_SEED)).integers(0, 2, (BUCKETS, DIMENSIONS))
    return (2 * bits - 1).astype(np.float32)
