"""What curation costs and how well it measures, beside what people use instead.

make bench-curation                      a million events: half an hour and 3 GB of disk
python benchmarks/curation.py --quick    same metrics on short logs, under 50 s, not written
python benchmarks/curation.py --log DIR  keeps the log of a million events for another time
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import curation_dedup
import curation_ranks
import curation_store
import numpy as np
import results_file
from curation_log import asked
from results_file import metric

from honewheel.curate import features, selection
from honewheel.records import Example

Measured: TypeAlias = tuple[dict[str, Any], list[str]]


def selecting(count: int, size: int) -> dict[str, Any]:
    """Seconds to choose `size` of `count` examples, beside greedy choice without shortcuts.

    The naive rule is timed on a tenth of both and scaled by size x count^2, as it grows.
    """
    rows = [
        Example(id=f"ex{one.number}", task="erd", prompt=one.prompt, target=one.output,
                group=one.id, split="train", value=0.9)
        for one in map(asked, range(count))
    ]  # fmt: skip
    wall, cpu = time.perf_counter(), time.process_time()
    chosen = selection.choose(rows, size, seed=0)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if len(chosen) != size:
        raise RuntimeError(f"{len(chosen)} rows were chosen, not {size}.")
    few = [f"{row.prompt}\n{row.target}" for row in rows[: count // 10]]
    vectors = features.embed(few)
    started = time.process_time()
    naive = naive_greedy(vectors, size // 10)
    spent = time.process_time() - started
    ours = selection.cover(vectors, np.ones(len(few)), size // 10)
    share = coverage(vectors, ours) / coverage(vectors, naive)
    return {
        "selection_seconds_10k": metric(wall, "s"),
        "selection_cpu_seconds_10k": metric(cpu, "s"),
        "selection_naive_cpu_seconds_10k_extrapolated": metric(spent * 1000, "s"),
        "selection_value_vs_naive": metric(share, "share"),
    }


def naive_greedy(vectors: features.Vectors, size: int) -> list[int]:
    """Facility location: every gain of every row is computed again in each step."""
    near = np.clip(vectors @ vectors.T, 0, 1)
    best = np.zeros(len(near), dtype=near.dtype)
    chosen: list[int] = []
    for _ in range(size):
        gains = np.maximum(near - best, 0).sum(axis=1)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        best = np.maximum(best, near[chosen[-1]])
    return chosen


def coverage(vectors: features.Vectors, chosen: list[int]) -> float:
    return float(np.clip(vectors @ vectors[chosen].T, 0, 1).max(axis=1).sum())


def ranks(count: int) -> dict[str, Any]:
    """Shares of rightly ranked pairs; of the text metrics the best one."""
    found = curation_ranks.measure(count, seed=0)
    by_metric = found["text_metric_rank_share"]
    return {
        "rank_artifacts_per_kind": metric(count, "artifacts"),
        "fact_f1_rank_share": metric(found["fact_f1_rank_share"], "share"),
        "text_metric_rank_share": metric(max(by_metric.values()), "share"),
    } | {f"{name}_rank_share": metric(share, "share") for name, share in by_metric.items()}


NOTES = {
    "dedup": (
        "signatures, bands, exact keys and links of Mermaid ER diagrams of some 600 "
        "characters, in CPU seconds of one thread, index in memory; datasketch with the same "
        "shingles, permutations and bands, in turns",
        "difflib and rapidfuzz are extrapolated to all pairs of 100,000 texts from a sample",
        "dedup_linked_J: pairs of a planted Jaccard that are linked at the threshold of 0.7",
    ),
    "selection": ("wall seconds, CPU seconds beside; the naive rule is extrapolated",),
    "ranks": ("text_metric_rank_share is that of the best text metric",),
    "store": (
        "event_cost: CPU of taking in one new event, with its check (event_check beside it) and "
        "its share of a SQLite transaction of 200 events",
        "build: gather, make and seal in a process of its own; wall seconds, CPU beside",
    ),
}


def parts(quick: bool, log: Path | None) -> dict[str, Callable[[], Measured]]:
    """What can be measured apart, each with notes of what was found on the way."""
    texts, trials, sample = (5_000, 300, 200) if quick else (100_000, 4_000, 2_000)

    def dedup() -> Measured:
        found = curation_dedup.throughput(texts) | curation_dedup.curve(trials)
        return found | curation_dedup.all_pairs(sample, 100_000), []

    def store() -> Measured:
        sizes = curation_store.QUICK if quick else curation_store.SIZES
        with tempfile.TemporaryDirectory(prefix="honewheel-bench-") as root:
            return curation_store.costs(sizes, Path(root), log)

    return {
        "dedup": dedup,
        "selection": lambda: (selecting(*((2_000, 100) if quick else (10_000, 500))), []),
        "ranks": lambda: (ranks(2 if quick else 200), []),
        "store": store,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--log", type=Path, help="folder of the log of a million events")
    parser.add_argument("--part", choices=list(NOTES), action="append", help="measure this again")
    asked_for = parser.parse_args()
    metrics: dict[str, Any] = {}
    notes: list[str] = []
    for name, measure in parts(asked_for.quick, asked_for.log).items():
        if asked_for.part is None or name in asked_for.part:
            found, told = measure()
            print(json.dumps(found, indent=2), flush=True)
            metrics |= found
            notes += [f"{name}: {one}" for one in (*NOTES[name], *told)]
            if trouble := results_file.busy():
                notes.append(f"{name}: measured on a busy machine ({trouble})")
    if not asked_for.quick:
        print(write(metrics, notes))


def write(metrics: dict[str, Any], notes: list[str]) -> Path:
    """The results file; what an earlier run measured and this one did not is kept."""
    path = results_file.FOLDER / "curation.json"
    known = json.loads(path.read_text()) if path.exists() else {"metrics": {}, "notes": []}
    anew = {one.partition(": ")[0] for one in notes}
    kept = [one for one in known["notes"] if one.partition(": ")[0] not in anew]
    return results_file.write("curation", known["metrics"] | metrics, [0], [*kept, *notes])


if __name__ == "__main__":
    main()
