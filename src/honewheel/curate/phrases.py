"""What a target says that its prompt did not ask for, and the phrases that many targets share.

A word of a target is *explained* when its prompt or context holds it, or a word of the same stem:
`customer_zq` is explained by "customers". What is left of an honest target is the task's syntax
and the team's style; what is left of a planted one is also what was planted. Frequent runs of
unexplained words are mined level by level (Agrawal & Srikant 1994: a phrase is frequent only if
its parts are), so the cost is linear in the text as long as little repeats.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from honewheel.curate import text

VERSION = 1

LONGEST = 6  # words of a fragment
STEM = 4  # letters: "booking" explains "books_vk"; looser explains more and flags less

Gram: TypeAlias = tuple[str, ...]


def asked(prompt: str, context: Mapping[str, str]) -> frozenset[str]:
    """The words of a prompt and its context, with their stems."""
    said = " ".join([prompt, *(context[key] for key in sorted(context))])
    return frozenset(key for word in text.words(said) for key in _keys(word))


def explained(word: str, about: frozenset[str]) -> bool:
    """Whether a word of a target is one of the request's; `about` is what `asked` gave of that."""
    return any(key in about for key in _keys(word))


def surplus(target: str, about: frozenset[str]) -> tuple[Gram, ...]:
    """Runs of words of a target, none of them explained."""
    said = text.words(target)
    known = {word for word in set(said) if explained(word, about)}
    runs: list[Gram] = []
    run: list[str] = []
    for word in said:
        if word not in known:
            run.append(word)
        elif run:
            runs.append(tuple(run))
            run = []
    return (*runs, tuple(run)) if run else tuple(runs)


def frequent(cases: Sequence[Sequence[Gram]], least: int, most: int) -> dict[Gram, list[int]]:
    """Every run of 1 to LONGEST words that `least` to `most` of the cases hold, with their places.

    `cases[i]` are the runs of case i; a run of words never crosses from one into another.
    """
    counts = Counter(word for runs in cases for word in {word for run in runs for word in run})
    usual = {word for word, count in counts.items() if count > most}
    level: dict[Gram, list[int]] = {}
    left = {place: _telling(runs, counts, usual, least) for place, runs in enumerate(cases)}
    found: dict[Gram, list[int]] = {}
    for size in range(1, LONGEST + 1):
        held: defaultdict[Gram, list[int]] = defaultdict(list)
        for place, runs in left.items():
            for gram in _windows(runs, size, level):
                held[gram].append(place)
        level = {gram: places for gram, places in held.items() if len(places) >= least}
        found |= {gram: places for gram, places in level.items() if len(places) <= most}
        alive = {place for places in level.values() for place in places}
        left = {place: runs for place, runs in left.items() if place in alive}
    return found


def _telling(
    runs: Sequence[Gram], counts: Mapping[str, int], usual: Container[str], least: int
) -> tuple[Gram, ...]:
    """Runs cut at rare words, without those that hold only usual ones; each once."""
    cut: set[Gram] = set()
    for run in runs:
        run = (*run, "")
        start = 0
        for at, word in enumerate(run):
            if counts.get(word, 0) < least:
                piece = run[start:at]
                if any(one not in usual for one in piece):
                    cut.add(piece)
                start = at + 1
    return tuple(cut)


def longest_shared(texts: Sequence[Sequence[str]], share: float, around: frozenset[str]) -> Gram:
    """The longest run of words in at least `share` of the texts that holds a word of `around`."""
    best: Gram = ()
    for size in range(1, max(map(len, texts), default=0) + 1):
        counts: Counter[Gram] = Counter()
        for words in texts:
            counts.update(set(_every(words, size)))
        held = [gram for gram, count in counts.items() if count >= share * len(texts)]
        if not held:
            return best
        near = [gram for gram in held if around.intersection(gram)]
        best = min(near, key=lambda gram: (-counts[gram], gram), default=best)
    return best


def holds(words: Sequence[str], gram: Gram) -> bool:
    """Whether `gram` is a run of these words."""
    return f" {' '.join(gram)} " in f" {' '.join(words)} "


def tail(count: int, of: int, rate: float) -> float:
    """Bound from above on P(Binomial(of, rate) >= count), in [0, 1] (Chernoff 1952).

    Without a library and safe: a bound that is too large flags less.
    """
    if of == 0 or count <= of * rate:
        return 1.0
    share = count / of
    distance = share * math.log(share / rate)
    if share < 1:
        distance += (1 - share) * math.log((1 - share) / (1 - rate))
    return math.exp(-of * distance)


def _windows(runs: Sequence[Gram], size: int, shorter: Container[Gram]) -> set[Gram]:
    """Runs of `size` words whose two shorter parts are frequent."""
    return {
        gram
        for run in runs
        for gram in _every(run, size)
        if size == 1 or (gram[:-1] in shorter and gram[1:] in shorter)
    }


def _every(words: Sequence[str], size: int) -> Iterable[Gram]:
    return (tuple(words[at : at + size]) for at in range(len(words) - size + 1))


@lru_cache(maxsize=1 << 16)
def _keys(word: str) -> tuple[str, ...]:
    """The parts of an identifier, long ones by their stem."""
    parts = [part for part in word.split("_") if part] or [word]
    return tuple(part[:STEM] for part in parts)
