"""Labelled texts (a ticket and its kind) to pairs: the same label is 1, another is 0.

Deterministic: the pairs depend on the texts, the task and the seed, not on the order. Both texts
of a pair are on the same side of the split, which is told by the same hash as at intake
(`pair_split`), so none of them is set aside for tying train to test. Every text has the same
number of pairs, so that a big label does not count with the square of its size. Of the negatives
half are hard by their words (the nearest text of another label, by TF-IDF), half are drawn at
random; no embedding model has a say.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from honewheel.curate import lexical, pair_split, text
from honewheel.errors import InputError, NotEnoughData
from honewheel.records import Split
from honewheel.tasks import pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One text and what it is about."""

    text: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePair:
    """Two texts, whether they have one label, and how the pair was chosen."""

    a: Labelled
    b: Labelled
    same: bool
    origin: str  # "same label", "lexical" or "uniform"
    side: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Pairs, and the texts that were left out with the reason."""

    pairs: tuple[MadePair, ...]
    left_out: tuple[tuple[str, str], ...]
    labels: int
    texts: int


def make(
    texts: Sequence[Labelled],
    *,
    task: str,
    per_text: int = 2,
    most: int | None = None,
    whole_labels: bool = False,
    one_side: bool = False,
    seed: int = 0,
) -> Made:
    """About `per_text` positive and as many negative pairs a text, at most `most` pairs.

    With `whole_labels` every label is on one side: the test asks about labels never trained on.
    With `one_side` all pairs are for one purpose (a suite), and no text is kept from another.

    Raises:
        InputError: `per_text` or `most` is below 1.
        NotEnoughData: fewer than two labels, or no label with two texts on one side.
    """
    if per_text < 1 or (most is not None and most < 1):
        raise InputError(f"per_text is {per_text} and most is {most}; both are at least 1.")
    kept, left_out = _clean(texts)
    labels = {one.label for one in kept}
    if len(labels) < 2:
        raise NotEnoughData(
            f"{len(kept)} texts with {len(labels)} label; pairs take at least two labels."
        )
    sides: defaultdict[Split, list[Labelled]] = defaultdict(list)
    for one in kept:
        sides["test" if one_side else _side(one, task, whole_labels)].append(one)
    found: list[MadePair] = []
    for side in sorted(sides):
        found += _of_side(sides[side], side, per_text, random.Random(f"{seed} {side}"))
    if not any(one.same for one in found):
        raise NotEnoughData(
            f"No two of {len(kept)} texts with the same label are on one side of the split. Give "
            f"more texts a label; there are {len(labels)} labels."
        )
    return Made(
        pairs=tuple(_cap(found, most, seed)),
        left_out=tuple(left_out),
        labels=len(labels),
        texts=len(kept),
    )


def context(one: MadePair, *, whole_labels: bool) -> dict[str, str]:
    """What a pair's row says of its texts."""
    about = {"label_a": one.a.label, "label_b": one.b.label}
    if whole_labels:
        about |= {pair_split.GROUP_A: one.a.label, pair_split.GROUP_B: one.b.label}
    return about


def _clean(texts: Sequence[Labelled]) -> tuple[list[Labelled], list[tuple[str, str]]]:
    """Each text once, in a fixed order; texts that are empty or have two labels are left out."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for one in texts:
        labels[text.canonical(one.text)].add(one.label)
    kept: dict[str, Labelled] = {}
    left_out: list[tuple[str, str]] = []
    for one in sorted(texts, key=lambda one: (text.canonical(one.text), one.text, one.label)):
        key = text.canonical(one.text)
        if not key or not one.label.strip():
            left_out.append((one.text[:80], "the text or its label is empty"))
        elif len(labels[key]) > 1:
            left_out.append((one.text[:80], f"has labels {', '.join(sorted(labels[key]))}"))
        elif key in kept:
            left_out.append((one.text[:80], "stands twice"))
        else:
            kept[key] = one
    return list(kept.values()), left_out


def _side(one: Labelled, task: str, whole_labels: bool) -> Split:
    """The side that intake will give it while nothing near it is known."""
    home = one.label if whole_labels else text.canonical(one.text)
    return pair_split.own(pair_split.Text(b"", (), home, whole_labels), task)


def _of_side(
    texts: list[Labelled], side: Split, per_text: int, rng: random.Random
) -> list[MadePair]:
    by_label: defaultdict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(texts):
        by_label[one.label].append(place)
    same = _positives(by_label, per_text, rng)
    different = _negatives(texts, by_label, len(same), rng)
    found = [(*pair, True, "same label") for pair in same]
    found += [(*pair, False, origin) for pair, origin in different.items()]
    rng.shuffle(found)
    return [
        MadePair(a=texts[a], b=texts[b], same=is_same, origin=origin, side=side)
        for a, b, is_same, origin in found
    ]


def _positives(
    by_label: dict[str, list[int]], per_text: int, rng: random.Random
) -> list[tuple[int, int]]:
    """Each label's texts in a ring, each paired with those 1 to `per_text` places further."""
    found: dict[tuple[int, int], None] = {}
    for label in sorted(by_label):
        ring = by_label[label][:]
        rng.shuffle(ring)
        for step in range(1, min(per_text, len(ring) // 2) + 1):
            for at, place in enumerate(ring):
                found[_edge(place, ring[(at + step) % len(ring)])] = None
    return list(found)


def _negatives(
    texts: list[Labelled], by_label: dict[str, list[int]], wanted: int, rng: random.Random
) -> dict[tuple[int, int], str]:
    """Half lexically near, half drawn; none when the side has one label."""
    if len(by_label) < 2:
        return {}
    found: dict[tuple[int, int], str] = {}
    for pair in _near(texts, wanted):
        if len(found) < wanted // 2:
            found.setdefault(pair, "lexical")
    tries = 0
    while len(found) < wanted and tries < 20 * wanted:
        tries += 1
        a, b = rng.randrange(len(texts)), rng.randrange(len(texts))
        if texts[a].label != texts[b].label:
            found.setdefault(_edge(a, b), "uniform")
    return found


def _near(texts: list[Labelled], wanted: int) -> list[tuple[int, int]]:
    """Each text with its nearest of another label, then with the next, and so on."""
    labels = np.array([one.label for one in texts])
    rounds = max(1, min(len(texts) - 1, 1 + wanted // max(1, len(texts))))
    ranked = np.empty((len(texts), rounds), dtype=np.intp)
    near = np.empty((len(texts), rounds), dtype=np.float32)
    for start, block in lexical.similarities(lexical.vectors([one.text for one in texts])):
        rows = np.arange(start, start + len(block))
        block[labels[rows][:, None] == labels[None, :]] = -1.0
        order = np.argsort(-block, axis=1, kind="stable")[:, :rounds]
        ranked[rows] = order
        near[rows] = np.take_along_axis(block, order, axis=1)
    places = [
        (step, -float(near[at, step]), at) for step in range(rounds) for at in range(len(texts))
    ]
    return [_edge(at, int(ranked[at, step])) for step, score, at in sorted(places) if score < 0]


def _cap(found: list[MadePair], most: int | None, seed: int) -> list[MadePair]:
    """At most `most` pairs, each side and class keeping its share."""
    if most is None or len(found) <= most:
        return found
    rng = random.Random(f"{seed} cap")
    parts: defaultdict[tuple[str, bool], list[int]] = defaultdict(list)
    for place, one in enumerate(found):
        parts[one.side, one.same].append(place)
    kept: list[int] = []
    for part in sorted(parts):
        kept += rng.sample(parts[part], max(1, len(parts[part]) * most // len(found)))
    return [found[place] for place in sorted(kept)[:most]]


def told(made: Made) -> str:
    """What was made, in one line."""
    origin = Counter(one.origin for one in made.pairs)
    side = Counter(one.side for one in made.pairs)
    return (
        f"{made.texts:,} texts of {made.labels} labels -> {len(made.pairs):,} pairs: "
        f"{origin['same label']:,} the same, {origin['lexical']:,} different with like words, "
        f"{origin['uniform']:,} different at random; "
        + ", ".join(f"{side[name]:,} {name}" for name in ("train", "val", "test"))
    )


def _edge(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def row(one: MadePair, *, task: str, source: str, whole_labels: bool) -> dict[str, object]:
    """A feedback row that says what the labels say of two texts."""
    return {
        "task": task,
        "prompt": pairs.as_prompt(one.a.text, one.b.text),
        "demonstration": "1" if one.same else "0",
        "context": context(one, whole_labels=whole_labels),
        "source": source,
    }
