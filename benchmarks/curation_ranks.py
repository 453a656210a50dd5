"""Does a measure rank an equivalent rewriting of an artifact above one with a fault in it?

For every artifact each proposed equivalent is compared with each proposed mutation: the measure
is right where it puts the equivalent nearer to the original, half right on a tie. The rewritings
are the generators' proposals *before* certification, so that nothing was thrown away because fact
F1 disliked it; how many of them a task certifies is told beside.

    python benchmarks/curation_ranks.py --count 200
"""

from __future__ import annotations

import argparse
import difflib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from honewheel import plugins
from honewheel.demo import facts, requirements, simulator
from honewheel.demo.plain import plain
from honewheel.demo.project import TASKS
from honewheel.protocols import Task
from honewheel.tasks import variations

Measure = Callable[[str, str], float]  # (rewriting, original) -> [0, 1]

MUTATIONS = 12  # an artifact; sorts of fault take turns, so each sort that fits is there


def text_measures() -> dict[str, Measure]:
    """What people compare texts with, each in [0, 1]."""
    from rapidfuzz.distance import Levenshtein
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    bleu, chrf = BLEU(effective_order=True), CHRF()
    return {
        "levenshtein": lambda text, original: Levenshtein.normalized_similarity(text, original),
        "difflib": lambda text, original: difflib.SequenceMatcher(None, text, original).ratio(),
        "chrf": lambda text, original: chrf.sentence_score(text, [original]).score / 100,
        "bleu": lambda text, original: bleu.sentence_score(text, [original]).score / 100,
    }


def artifacts(kind: facts.Kind, count: int, seed: int) -> list[str]:
    """`count` generated artifacts of one kind; diagrams by turns plain and in the house style."""
    found = requirements.requirements(kind, count, seed)
    return [plain(one) if n % 2 else simulator.wanted(one) for n, one in enumerate(found)]


def right(equivalents: Sequence[float], mutations: Sequence[float]) -> float:
    """How many of all pairs are ranked rightly, a tie as half."""
    table = np.subtract.outer(np.asarray(equivalents), np.asarray(mutations))
    return float((table > 1e-9).sum() + 0.5 * (np.abs(table) <= 1e-9).sum())


def measure(count: int, seed: int) -> dict[str, Any]:
    """Shares of rightly ranked pairs over `count` artifacts of each kind.

    Returns:
        `fact_f1_rank_share` and `text_metric_rank_share` (one a text metric), each the mean over
        kinds; `by_kind` with the same per kind and per sort of equivalent (chrF and BLEU do not
        see layout), the number of pairs, and how many proposals the task certifies;
        `cpu_seconds`.
    """
    started = time.process_time()
    by_kind = {kind: _of_kind(kind, count, seed) for kind in facts.KINDS}
    names = [name for name in by_kind["erd"]["shares"] if name != "fact_f1"]

    def mean(name: str) -> float:
        return float(np.mean([found["shares"][name] for found in by_kind.values()]))

    return {
        "fact_f1_rank_share": mean("fact_f1"),
        "text_metric_rank_share": {name: mean(name) for name in names},
        "by_kind": by_kind,
        "cpu_seconds": time.process_time() - started,
    }


def _of_kind(kind: facts.Kind, count: int, seed: int) -> dict[str, Any]:
    task = plugins.task(TASKS[kind])
    measures = {"fact_f1": _fact_f1(task), **text_measures()}
    hits: dict[str, defaultdict[str, float]] = {name: defaultdict(float) for name in measures}
    pairs: Counter[str] = Counter()  # by the equivalent's name
    judged: Counter[str] = Counter()
    for number, original in enumerate(artifacts(kind, count, seed)):
        same = variations.proposed(task, original, {}, number, faulty=False)
        wrong = variations.proposed(task, original, {}, number, faulty=True)[:MUTATIONS]
        judged.update(_judged(task, original, same, wrong, number))
        for one in same:
            pairs[one.name] += len(wrong)
        for name, how in measures.items():
            far = [how(one.output, original) for one in wrong]
            for one in same:
                hits[name][one.name] += right([how(one.output, original)], far)
    total = pairs.total()
    return {
        "pairs": total,
        "shares": {name: sum(found.values()) / total for name, found in hits.items()},
        "shares_by_equivalent": {
            one: {name: found[one] / pairs[one] for name, found in hits.items()}
            for one in sorted(pairs)
        },
        **judged,
    }


def _fact_f1(task: Task) -> Measure:
    """Fact F1 alone, without the validity that `score` also asks for."""
    return lambda text, original: task.compare(text, original, {})["facts"]


def _judged(
    task: Task,
    original: str,
    same: Sequence[variations.Variation],
    wrong: Sequence[variations.Variation],
    seed: int,
) -> Mapping[str, int]:
    """How many rewritings were proposed and how many of them the task certifies."""
    equivalents = {one.output for one in variations.equivalents(task, original, {}, seed)}
    return {
        "equivalents_proposed": len(same),
        "equivalents_certified": sum(one.output in equivalents for one in same),
        "mutations_proposed": len(wrong),
        "mutations_certified": len([*variations.certified(task, original, {}, wrong)]),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(json.dumps(measure(chosen.count, chosen.seed), indent=2))
