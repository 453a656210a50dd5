"""Near-duplicates among artifact texts: our signatures, bands and links beside those of others."""

from __future__ import annotations

import difflib
import gc
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from curation_log import asked
from results_file import metric

from honewheel.curate import dedup, text

CHUNK = 2_500  # texts a turn; the two sides take turns
CURVE = (0.95, 0.85, 0.7, 0.5)


def artifact(number: int) -> str:
    """An ER diagram; one in five is that of an earlier one with the type of one column changed."""
    one = asked(number)
    if one.origin == number:
        return one.output
    return asked(one.origin).output.replace("    int ", "    bigint ", 1)


class Ours:
    """As intake does it, with the index in memory instead of in the store."""

    def __init__(self) -> None:
        self.first: dict[int, int] = {}  # band -> the first text that has it
        self.others: dict[int, list[int]] = {}  # and those after it: most bands have one text
        self.known: list[dedup.Candidate] = []
        self.exact: dict[str, int] = {}
        self.linked = 0

    def add(self, start: int, texts: Sequence[str]) -> None:
        asked: list[tuple[str, dict[str, str]]] = [(one, {}) for one in texts]
        signed = dedup.signatures(asked)
        rows = zip(dedup.exact_keys(asked), signed, dedup.all_bands(signed), strict=True)
        for number, (key, signature, keys) in enumerate(rows, start):
            near = self._near(number, key, keys)
            name = f"t{number}"
            link = dedup.link(name, key, signature, [self.known[at] for at in near])
            self.linked += link.twin is not None
            self.known.append(
                dedup.Candidate(
                    response_id=name,
                    exact=key,
                    signature=signature,
                    group=link.group,
                    split="train",
                )
            )

    def _near(self, number: int, key: str, keys: Sequence[int]) -> set[int]:
        """Earlier texts that share a band or the exact key; this one is in the index then."""
        near = set()
        for band in keys:
            first = self.first.setdefault(band, number)
            if first != number:
                others = self.others.setdefault(band, [])
                near.add(first)
                near.update(others)
                others.append(number)
        same = self.exact.setdefault(key, number)
        return near | {same} if same != number else near


class Datasketch:
    """datasketch with the same shingles, permutations, bands and threshold."""

    def __init__(self) -> None:
        from datasketch import MinHash, MinHashLSH

        self.make = MinHash
        self.index = MinHashLSH(num_perm=dedup.PERMUTATIONS, params=(dedup.BANDS, dedup.ROWS))
        self.known: dict[str, Any] = {}
        self.linked = 0

    def add(self, start: int, texts: Sequence[str]) -> None:
        for number, one in enumerate(texts, start):
            name = f"t{number}"
            sketch = self.make(num_perm=dedup.PERMUTATIONS)
            sketch.update_batch([run.encode() for run in text.shingles(one, dedup.SHINGLE)])
            near = [sketch.jaccard(self.known[other]) for other in self.index.query(sketch)]
            self.linked += max(near, default=0.0) >= dedup.THRESHOLD
            self.index.insert(name, sketch)
            self.known[name] = sketch


def throughput(count: int) -> dict[str, Any]:
    """Texts a CPU second of both sides over the same `count` texts, and the ratio."""
    sides = (Ours(), Datasketch())
    spent: list[list[float]] = [[], []]
    gc.disable()  # a collection would be charged to whoever happens to start it
    for turn, start in enumerate(range(0, count, CHUNK)):
        texts = [artifact(number) for number in range(start, min(start + CHUNK, count))]
        gc.collect()
        for place in (0, 1) if turn % 2 else (1, 0):
            started = time.process_time()
            sides[place].add(start, texts)
            spent[place].append(time.process_time() - started)
    gc.enable()
    ours, theirs = (np.array(one) for one in spent)
    low, high = _bootstrap(ours, theirs)
    rate = count / ours.sum()
    return {
        "dedup_texts": metric(count, "texts"),
        "dedup_texts_per_cpu_s": metric(rate, "texts/s"),
        "dedup_texts_per_cpu_s_datasketch": metric(count / theirs.sum(), "texts/s"),
        "dedup_ratio_vs_datasketch": metric(theirs.sum() / ours.sum(), "x", low, high),
        "dedup_linked_share": metric(sides[0].linked / count, "share"),
        "dedup_linked_share_datasketch": metric(sides[1].linked / count, "share"),
    }


def _bootstrap(ours: Any, theirs: Any) -> tuple[float, float]:
    """95 % interval of the ratio over resampled turns."""
    draws = np.random.default_rng(0).integers(0, len(ours), (2000, len(ours)))
    ratios = theirs[draws].sum(axis=1) / ours[draws].sum(axis=1)
    return float(np.quantile(ratios, 0.025)), float(np.quantile(ratios, 0.975))


def all_pairs(sample: int, count: int) -> dict[str, Any]:
    """What comparing all pairs of `count` texts would cost, from all pairs of a sample."""
    from rapidfuzz import fuzz, process

    texts = [artifact(number) for number in range(sample)]
    pairs = count * (count - 1) / 2
    few = texts[: max(12, sample // 40)]

    def by_difflib() -> None:
        for at, one in enumerate(few):
            for other in few[:at]:
                difflib.SequenceMatcher(None, one, other).ratio()

    difflib_cpu = _cpu(by_difflib) / (len(few) * (len(few) - 1) / 2)
    fuzz_cpu = _cpu(lambda: process.cdist(texts, texts, scorer=fuzz.ratio, workers=1)) / sample**2
    return {
        "difflib_all_pairs_cpu_s": metric(difflib_cpu * pairs, "s"),
        "rapidfuzz_all_pairs_cpu_s": metric(fuzz_cpu * pairs, "s"),
    }


def curve(trials: int) -> dict[str, Any]:
    """Share of pairs with a given Jaccard that are linked at the threshold of 0.7."""
    found = {}
    for jaccard in CURVE:
        share = _linked_share([jaccard] * trials, seed=1)
        theory = 1 - (1 - jaccard**dedup.ROWS) ** dedup.BANDS
        found[f"dedup_linked_{round(100 * jaccard):03d}"] = _share(share, trials)
        found[f"dedup_meet_in_a_band_theory_{round(100 * jaccard):03d}"] = metric(theory, "share")
    rng = random.Random(2)
    above = [rng.uniform(0.85, 1.0) for _ in range(trials)]
    return found | {"dedup_recall_085": _share(_linked_share(above, seed=3), trials)}


def _linked_share(jaccards: Sequence[float], seed: int) -> float:
    rng = random.Random(seed)
    pairs = [_planted(rng, one) for one in jaccards]
    left = dedup.signatures([(one, {}) for one, _ in pairs])
    right = dedup.signatures([(other, {}) for _, other in pairs])
    linked = 0
    for one, other in zip(left, right, strict=True):
        meet = any(a == b for a, b in zip(dedup.bands(one), dedup.bands(other), strict=True))
        linked += meet and dedup.similarity(one, other) >= dedup.THRESHOLD
    return linked / len(pairs)


def _planted(rng: random.Random, jaccard: float, length: int = 200) -> tuple[str, str]:
    """Two texts of `length` words whose 3-word runs have this Jaccard (to one run)."""
    every = length - dedup.SHINGLE + 1
    keep = round(2 * every * jaccard / (1 + jaccard)) + dedup.SHINGLE - 1
    first = [f"w{rng.getrandbits(40)}" for _ in range(length)]
    second = first[:keep] + [f"w{rng.getrandbits(40)}" for _ in range(length - keep)]
    return " ".join(first), " ".join(second)


def _share(share: float, trials: int) -> Any:
    """With Wilson's 95 % interval."""
    z2 = 1.96**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = 1.96 / (1 + z2 / trials) * (share * (1 - share) / trials + z2 / (4 * trials**2)) ** 0.5
    return metric(share, "share", max(0.0, middle - half), min(1.0, middle + half))


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started
