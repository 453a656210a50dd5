"""Which rows to learn from give away held-out items: asserted whenever a dataset is sealed.

A row leaks an item when they share a group; or, within one task, the canonical prompt and
context; the prompt and the target; or most of the prompt's 8-grams of words with as much of the
context's (containment in the sense of Brown et al. 2020, appendix C). Where the task knows its
questions, a key in common tells instead of the 8-grams. Time is linear in the text:
an n-gram that several held-out groups share is template wording, tells nothing about any of
them, and leaves the index. Of a pair of texts, one that both have is enough.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from honewheel.curate import dedup, questions, shingles, text
from honewheel.curate.questions import Keys
from honewheel.curate.shingles import Numbers
from honewheel.errors import Leak
from honewheel.records import Example, Item
from honewheel.tasks import pairs

VERSION = f"3.{dedup.VERSION}"

GRAM = 8  # words
CONTAINMENT = 0.5  # share of an item's own 8-grams; one edit in 30 words leaves 0.65, two 0.3
TEMPLATE_GROUPS = 3  # an 8-gram in this many held-out groups is the template's, not the item's

_BATCH = 256  # prompts whose words are looked at together

Found = tuple[str, str, str]  # example id, item id, reason


def leaks(
    train: Sequence[Example], held_out: Sequence[Item], known: Keys = questions.TEXT
) -> list[Found]:
    """Every (example id, item id, reason) where a row gives away an item; first reason a pair."""
    if not train or not held_out:
        return []
    index = _Index(held_out, known)
    found = []
    for start in range(0, len(train), _BATCH):
        some = train[start : start + _BATCH]
        for row, copied in zip(some, index.copies(some), strict=True):
            reasons: dict[str, str] = {}
            for item, reason in (*index.same(row), *copied):
                reasons.setdefault(item.id, reason)
            found += [(row.id, item, reason) for item, reason in sorted(reasons.items())]
    return found


def assert_clean(
    train: Sequence[Example], held_out: Sequence[Item], known: Keys = questions.TEXT
) -> None:
    """Nothing when no row gives away an item.

    Raises:
        Leak: names the first three pairs with their reasons, and their number.
    """
    found = leaks(train, held_out, known)
    if found:
        named = "; ".join(f"example {row} and item {item}: {why}" for row, item, why in found[:3])
        raise Leak(
            f"{len(found)} pairs of training rows and held-out items overlap: {named}. Nothing "
            "was sealed. Drop these rows from training, or these items from the suite."
        )


class _Index:
    """Held-out items by group, exact key, prompt with target, and informative 8-grams.

    An 8-gram is a number, and all of them are one sorted table: a long log holds out a hundred
    thousand items, whose words as strings would fill gigabytes.
    """

    def __init__(self, items: Sequence[Item], known: Keys) -> None:
        self.items = items
        self.known = known
        self.keys: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
        self.groups: defaultdict[str, list[Item]] = defaultdict(list)
        self.exact: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
        self.answers: defaultdict[bytes, list[Item]] = defaultdict(list)
        self.texts: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
        for item in items:
            for one in _texts(item):
                self.texts[item.task, one].append(item)
            self.groups[item.group].append(item)
            self.exact[item.task, dedup.exact_key(item.prompt, item.context)].append(item)
            self.answers[_answer(item.task, item.prompt, item.reference)].append(item)
            for key in known.of(item.task, item.prompt, item.context):
                self.keys[item.task, key].append(item)
        grams, owners = _grams(items, known)
        numbers = {group: number for number, group in enumerate(self.groups)}
        of_group = np.array([numbers[item.group] for item in items])
        kept = ~np.isin(grams, _shared(grams, of_group[owners]))
        self.grams, self.owners = grams[kept], owners[kept]
        self.size = np.bincount(self.owners, minlength=len(items))  # informative 8-grams

    def same(self, row: Example) -> Iterable[tuple[Item, str]]:
        """Items that a row gives away by what it is."""
        for item in self.groups.get(row.group, ()):
            yield item, f"same group {row.group}"
        for key in self.known.of(row.task, row.prompt, row.context):
            for item in self.keys.get((row.task, key), ()):
                yield item, f"the same question by its task ({key[:16]})"
        for item in self.exact.get((row.task, dedup.exact_key(row.prompt, row.context)), ()):
            yield item, "same prompt and context"
        for item in self.answers.get(_answer(row.task, row.prompt, row.target), ()):
            yield item, "same prompt and target"
        for one in _texts(row):
            for item in self.texts.get((row.task, one), ()):
                yield item, f"a text of the pair is the item's: {one[:40]!r}"

    def copies(self, rows: Sequence[Example]) -> list[list[tuple[Item, str]]]:
        """For each row the items of whose 8-grams it has most."""
        grams, owners = _grams(rows, self.known)
        first = np.searchsorted(self.grams, grams, side="left")
        behind = np.searchsorted(self.grams, grams, side="right")
        shared: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for at in np.flatnonzero(behind > first):
            shared[int(owners[at])].update(self.owners[first[at] : behind[at]].tolist())
        return [
            [*self._contained(row, shared[at])] if at in shared else []
            for at, row in enumerate(rows)
        ]

    def _contained(self, row: Example, counts: Counter[int]) -> Iterable[tuple[Item, str]]:
        for at in sorted(counts, key=lambda at: self.items[at].id):
            item, share = self.items[at], counts[at] / int(self.size[at])
            if share > CONTAINMENT and _same_context(row.context, item.context):
                yield item, f"{share:.0%} of the item's {GRAM}-word runs"


def _texts(one: Item | Example) -> list[str]:
    """The canonical texts of a pair; none of a prompt that is no pair."""
    return [text.canonical(found) for found in pairs.texts(one.prompt, one.context) or ()]


def _grams(
    asked: Sequence[Item] | Sequence[Example], known: Keys
) -> tuple[Numbers, npt.NDArray[np.intp]]:
    """Every 8-gram of each prompt, once, with the prompt's place; sorted by gram, then place.

    Those of prompts with keys are left out: their text tells nothing.
    """
    grams, owners = [], []
    for start in range(0, len(asked), _BATCH):
        some = asked[start : start + _BATCH]
        flat, offsets = shingles.hashes([_words(one, known) for one in some], GRAM)
        counts = (offsets[1:] - offsets[:-1]).astype(np.intp)
        place = np.repeat(np.arange(len(some)), counts)
        salts = np.array([_salt(one.task) for one in some], dtype=np.uint64)
        grams.append(shingles.mix(flat ^ salts[place]))
        owners.append(place + start)
    found, places = np.concatenate(grams), np.concatenate(owners)
    order = np.lexsort((places, found))
    found, places = found[order], places[order]
    fresh = _changes(found) | _changes(places)
    return found[fresh], places[fresh]


def _words(one: Item | Example, known: Keys) -> str:
    return "" if known.of(one.task, one.prompt, one.context) else one.prompt


def _shared(grams: Numbers, groups: npt.NDArray[np.intp]) -> Numbers:
    """The grams that stand in TEMPLATE_GROUPS groups or more; `grams` are sorted."""
    order = np.lexsort((groups, grams))
    pairs = _changes(grams[order]) | _changes(groups[order])
    distinct, count = np.unique(grams[order][pairs], return_counts=True)
    return distinct[count >= TEMPLATE_GROUPS]


def _changes(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a value differs from the one before it; the first does."""
    found = np.ones(len(values), dtype=bool)
    found[1:] = values[1:] != values[:-1]
    return found


@cache
def _salt(task: str) -> int:
    return int.from_bytes(hashlib.blake2b(task.encode(), digest_size=8).digest(), "big")


def _same_context(left: Mapping[str, str], right: Mapping[str, str]) -> bool:
    """Whether the right context is contained in the left; two empty ones are the same."""
    theirs = text.shingles("\n".join(right[key] for key in sorted(right)), GRAM)
    ours = text.shingles("\n".join(left[key] for key in sorted(left)), GRAM)
    if not theirs or not ours:
        return not theirs and not ours
    return len(theirs & ours) / len(theirs) > CONTAINMENT


def _answer(task: str, prompt: str, target: str) -> bytes:
    parts = (task, text.canonical(prompt), text.canonical_target(target))
    whole = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=16).digest()
