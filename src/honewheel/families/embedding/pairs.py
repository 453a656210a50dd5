"""Examples -> numbered texts and labelled pairs of them.

A text that occurs in several pairs is one text: it is embedded once and known by its number. Texts
that people called the same, directly or through others, are of one class; in-batch negatives are
never taken from the class of the anchor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from honewheel.errors import NotEnoughData, ParseError
from honewheel.records import Example
from honewheel.tasks.similarity import Similarity, pair

LABELS = ("label_a", "label_b")  # context entries: the class of each text, where users gave one

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """n labelled pairs: numbers of both texts, label in [0, 1], weight > 0, when first shown."""

    a: Ints
    b: Ints
    label: Floats
    weight: Floats
    since: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.a)

    @property
    def texts(self) -> Ints:
        """Numbers of all texts in these pairs, ascending."""
        return np.unique(np.concatenate([self.a, self.b]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run learns from and is judged by. `classes` holds the class of each text."""

    texts: tuple[str, ...]
    train: Pairs
    val: Pairs
    classes: Ints


def read(train: Sequence[Example], val: Sequence[Example], positive_from: float) -> Work:
    """The work of a run.

    Raises:
        NotEnoughData: there is no pair to train on.
        ParseError: an example is no pair, or its label no number in [0, 1].
    """
    if not train:
        raise NotEnoughData("There is no training pair. Record similarity feedback first.")
    numbers: dict[str, int] = {}
    rows, held = _pairs(train, numbers), _pairs(val, numbers)
    classes = _classes(train, rows, len(numbers), positive_from)
    return Work(texts=tuple(numbers), train=rows, val=held, classes=classes)


def label(row: Example) -> float:
    """What an example says of its pair, in [0, 1]. Raises ParseError."""
    ((_, number),) = Similarity().facts(row.target, row.context)
    return float(number)


def _pairs(rows: Sequence[Example], numbers: dict[str, int]) -> Pairs:
    a, b, labels = [], [], []
    for row in rows:
        try:
            first, second = pair(row.prompt, row.context)
            labels.append(label(row))
        except ParseError as error:
            raise ParseError(f"example {row.id} of {row.task}: {error}") from error
        a.append(numbers.setdefault(first, len(numbers)))
        b.append(numbers.setdefault(second, len(numbers)))
    return Pairs(
        a=np.array(a, dtype=np.int64),
        b=np.array(b, dtype=np.int64),
        label=np.array(labels, dtype=np.float32),
        weight=np.array([row.weight for row in rows], dtype=np.float32),
        since=tuple(row.since for row in rows),
    )


def _classes(rows: Sequence[Example], pairs: Pairs, texts: int, positive_from: float) -> Ints:
    """[texts] the smallest number that stands for each text's class."""
    parent = list(range(texts))

    def root(text: int) -> int:
        while parent[text] != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    def join(one: int, other: int) -> None:
        low, high = sorted((root(one), root(other)))
        parent[high] = low

    first_of: dict[str, int] = {}
    for row, a, b, score in zip(rows, pairs.a.tolist(), pairs.b.tolist(), pairs.label, strict=True):
        if score >= positive_from:
            join(a, b)
        for text, name in zip((a, b), LABELS, strict=True):
            if name in row.context:
                join(text, first_of.setdefault(_label_of(row, name), text))
    return np.array([root(text) for text in range(texts)], dtype=np.int64)


def _label_of(row: Example, name: str) -> str:
    """A label belongs to its task: two tasks may use one word for different things."""
    context: Mapping[str, str] = row.context
    return f"{row.task}\0{context[name]}"
