"""What small reasoners learn, how a new rule is taken up from 54 corrections, and what it costs.

    make bench-reasoner                          everything, about 25 CPU-minutes of one thread
    python benchmarks/reasoner.py --minutes 5    stop after the run in which 5 minutes are over; the
                                                 same command goes on until the file is written
    python benchmarks/reasoner.py --only sudoku4 this part only
    python benchmarks/reasoner.py --report       write the file from what is finished
    python benchmarks/reasoner.py --quick        a few updates of each, same metrics, not written

Every figure is that of the worst of three seeds, on puzzles of which no symmetric form was trained
on. Seconds are CPU seconds of one thread, training only, wall beside them. Finished runs stand in
.bench/reasoner.jsonl and are not repeated; a run that was killed goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import reasoner_data as data
from reasoner_report import report
from reasoner_verdict import verdict

from honewheel import atomic
from honewheel.families.reasoner.family import ReasonerFamily
from honewheel.protocols import START
from honewheel.records import Dataset, Decoding, Item, Json, Spec, digest
from honewheel.tasks.asked import asked
from honewheel.tasks.puzzle import base as puzzles

for name, value in {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}.items():
    os.environ[name] = value  # torch reads them when a run imports it

FOLDER = Path(__file__).parents[1] / ".bench" / "reasoner"
LOG = FOLDER.with_suffix(".jsonl")
SEEDS = (0, 1, 2)
GO_ON = 3  # exit code: the time is over, there is more to do
FAMILY = ReasonerFamily()
# Updates of 9x9 that cost as many operations: a segment of trm is 6 calls of its net and 3 backward
# (twice a call each), one of hrm 6, 6 more to look ahead, and 2 backward.
NINE = {"trm": 1000, "hrm": 750}
OLD, NEW = "sudoku", "latin"  # the rule that is known, and the one that corrections teach


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training. `start` names the job whose version it goes on from."""

    part: str
    seed: int
    base: str
    settings: Mapping[str, Json] = field(default_factory=dict)
    start: str | None = None
    arm: str = ""

    @property
    def name(self) -> str:
        return f"{self.part}{f'-{self.arm}' if self.arm else ''}-{self.seed}"


def jobs() -> Iterator[Job]:
    """All trainings, those that others go on from first."""
    for seed in SEEDS:
        yield Job(
            part="sudoku4",
            seed=seed,
            base="honewheel/reasoner-tiny",
            settings={"learning_rate": 2e-3, "updates": 250, "eval_every": 50},
        )
        arms = ("corrected", "shuffled", "old-only")
        for arm in (*arms, "no-replay", "task-only") if seed == 0 else arms:
            yield Job(
                part="feedback",
                arm=arm,
                seed=seed,
                base="honewheel/reasoner-tiny",
                start=f"sudoku4-{seed}",
                settings={"learning_rate": 1e-3, "updates": 200, "eval_every": 50}
                | ({"task_first": 1.0} if arm == "task-only" else {}),
            )
    for seed in SEEDS:
        yield Job(
            part="bva",
            seed=seed,
            base="honewheel/reasoner-tiny-mlp",
            settings={
                "learning_rate": 2e-3,
                "updates": 600,
                "schedule": "constant",
                "segments": 4,
                "eval_every": 100,
            },
        )
    yield Job(
        part="original",
        seed=0,
        base="honewheel/reasoner-hrm27m",
        # 54 rows, batch 8, 3 epochs: 21 updates, as the original job had them
        settings={"learning_rate": 1e-4, "updates": 21, "batch_size": 8, "segments": 2},
    )
    for seed in SEEDS:
        yield Job(
            part="sudoku6",
            seed=seed,
            base="honewheel/reasoner-small",
            settings={
                "learning_rate": 2e-3,
                "updates": 800,
                "batch_size": 32,
                "eval_every": 100,
            },
        )
    for arm, updates in NINE.items():
        yield Job(
            part="sudoku9",
            arm=arm,
            seed=0,
            base=f"honewheel/reasoner-small{'' if arm == 'trm' else '-hrm'}",
            settings={
                "learning_rate": 1e-3,
                "updates": updates,
                "batch_size": 32,
                "eval_every": 125,
                "loss": "stablemax",
            },
        )


@dataclass(frozen=True, slots=True)
class Given:
    """What a job learns from, and the held-out items of each task that judge it."""

    dataset: Dataset
    test: Mapping[str, tuple[Item, ...]]
    levels: tuple[str, ...]
    kind: str


@cache
def sudoku(size: str) -> data.Problems:
    return data.split(
        "sudoku",
        size,
        "standard",
        task=OLD,
        made={"4": 2200, "6": 1500, "9": 1200}[size],
        train=1000,
        val=50 if size == "9" else 100,
        test={"4": 300, "6": 400, "9": 150}[size],
    )


@cache
def new_rule() -> data.Problems:
    """Latin squares with at most six givens; 54 of them are corrected. Orbits are few here (the
    symmetries are many), so a test orbit gives up to six puzzles.
    """
    return data.split(
        "sudoku",
        "4",
        "latin",
        task=NEW,
        made=3000,
        train=54,
        val=30,
        test=300,
        each=6,
        most_givens=6,
    )


@cache
def tables() -> data.Problems:
    return data.split(
        "boundary-table", "2", "two-value", task="bva", made=2000, train=1000, val=100, test=500
    )


def given(job: Job) -> Given:
    """The data of a job. Raises SystemExit when there are too few orbits."""
    if job.part.startswith("sudoku"):
        found = sudoku(job.part[-1])
        return Given(found.dataset(job.part), {OLD: found.test}, found.levels, "sudoku")
    if job.part == "bva":
        found = tables()
        return Given(found.dataset("bva"), {"bva": found.test}, found.levels, "boundary-table")
    if job.part == "original":
        found = tables()
        small = Dataset(hash="original", train=found.train[:54], val=found.val[:14])
        return Given(small, {"bva": found.test[:100]}, (), "boundary-table")
    old, new = sudoku("4"), new_rule()
    rows = {"old-only": (), "shuffled": data.shuffled(new.train, job.seed)}.get(job.arm, new.train)
    learnt = Dataset(
        hash=f"feedback-{job.arm}-{job.seed}",
        train=(*rows, *(() if job.arm == "no-replay" else data.replayed(old.train))),
        val=(*(new.val if rows else ()), *old.val[:60]),
    )
    return Given(learnt, {NEW: new.test, OLD: old.test}, (), "sudoku")


def run(job: Job, *, quick: bool) -> dict[str, Any]:
    """Train, answer, compare; everything that the report needs of it."""
    held = given(job)
    defaults = {key: rule.default for key, rule in FAMILY.ranges("full").items()}
    settings = {**defaults, **job.settings}
    if quick:
        settings |= {"updates": 4, "batch_size": 8, "segments": 1}
    root = FOLDER / ("quick" if quick else "runs")
    folder = root / place(job)
    first = next((one for one in jobs() if one.name == job.start), None)
    start = None if first is None else root / place(first) / "final"
    spec = Spec(
        family=FAMILY.name,
        base=job.base,
        base_hash=FAMILY.resolve(job.base)[1],
        method="full",
        settings=settings,
        seed=job.seed,
        start_files=None if start is None else atomic.folder_digest(start),
    )
    folder.mkdir(parents=True, exist_ok=True)
    if start is not None:
        shutil.copytree(start, folder / START, dirs_exist_ok=True)
    took = _train(job, spec, held.dataset, folder)
    told = json.loads((folder / "final" / "training.json").read_text())
    before = answers(job, held, start)
    after = answers(job, held, folder / "final")
    judge = puzzles.task(held.kind).compare
    found: dict[str, Any] = {
        "job": job.name,
        "part": job.part,
        "arm": job.arm,
        "seed": job.seed,
        "key": key(job),
        "seconds": took,
        "resumed": any("resumed" in line for line in _log(folder)),
        "load": os.getloadavg()[0],
        "parameters": told["realised"]["trainable_parameters"],
        "segments": told["realised"]["segments"],
        "cells": max(puzzles.of(row.prompt).length for row in held.dataset.train),
        "losses": told["losses"],
        "val_exact": told["val_exact"],
        "before": exact(held, before, judge),
        "after": exact(held, after, judge),
        "levels": _by_level(held, after, judge),
        "baseline": {task: data.baseline(rows, held.kind) for task, rows in held.test.items()},
        "chance": {task: data.chance(rows) for task, rows in held.test.items()},
        "verdict": verdict(held.test, before, after, judge, trained=held.dataset.tasks),
    }
    if job.part.startswith("sudoku"):
        found["by_segments"] = {
            count: exact(held, answers(job, held, folder / "final", count), judge)[OLD]["value"]
            for count in (1, 2, 4, told["realised"]["segments"])
        }
    return found


def _train(job: Job, spec: Spec, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Seconds of the training, kept beside it: it may be done already."""
    path = folder / "took.json"
    if not path.is_file():
        cpu, wall = time.process_time(), time.monotonic()
        for progress in FAMILY.train(spec, dataset, folder):
            if progress.message:
                print(f"{job.name} {progress.step}/{progress.total} {progress.message}", flush=True)
        took = {"cpu": time.process_time() - cpu, "wall": time.monotonic() - wall}
        path.write_text(json.dumps(took))
    return dict(json.loads(path.read_text()))


def answers(
    job: Job, held: Given, version: Path | None, segments: int | None = None
) -> dict[str, str]:
    """Item -> output of a version (None: the bare base), with a number of segments of its own."""
    items = [item for rows in held.test.values() for item in rows]
    with FAMILY.open(job.base, version) as model:
        if segments is not None:
            assert model.model is not None  # a version is loaded when it is opened
            model.model.shape = replace(model.model.shape, segments=segments)
        return {one.item: one.output for one in model.predict(items, Decoding())}


def exact(held: Given, found: Mapping[str, str], judge: Callable[..., Any]) -> dict[str, Any]:
    """Exact match and oracle validity of each task, with the number of items."""
    told: dict[str, Any] = {}
    for task, items in held.test.items():
        rows = [judge(found[item.id], item.reference, asked(item)) for item in items]
        told[task] = {
            "value": sum(row["exact"] for row in rows) / len(rows),
            "valid": sum(row["valid"] for row in rows) / len(rows),
            "items": len(rows),
        }
    return told


def _by_level(held: Given, found: Mapping[str, str], judge: Callable[..., Any]) -> dict[str, Any]:
    items = next(iter(held.test.values()))
    told: dict[str, list[float]] = {}
    for item, level in zip(items, held.levels, strict=bool(held.levels)):
        one = judge(found[item.id], item.reference, asked(item))["exact"]
        told.setdefault(level, []).append(one)
    return {level: [sum(rows) / len(rows), len(rows)] for level, rows in told.items()}


def key(job: Job) -> str:
    """What decides a job's figures besides the code."""
    return digest([job.name, job.base, dict(job.settings), job.start])


def place(job: Job) -> str:
    """The name of a job's folder; with other settings it is another one."""
    return f"{job.name}-{key(job)[:8]}"


def _log(folder: Path) -> Sequence[str]:
    return [json.loads(line)["message"] for line in (folder / "log.jsonl").open()]


def finished() -> dict[str, dict[str, Any]]:
    """Jobs that are done, by their key."""
    lines = LOG.read_text().splitlines() if LOG.is_file() else []
    rows = [json.loads(line) for line in lines]
    return {row["key"]: row for row in rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    started = time.monotonic()
    wanted = [job for job in jobs() if options.only in job.name and not options.report]
    if options.quick:
        shutil.rmtree(FOLDER / "quick", ignore_errors=True)
        rows = [run(job, quick=True) for job in wanted if job.seed == 0]
        print(json.dumps(report(rows)[0], indent=1))
        return 0
    for job in wanted:
        if key(job) in finished():
            continue
        if time.monotonic() - started > options.minutes * 60:
            print("the time is over; the same command goes on")
            return GO_ON
        row = run(job, quick=False)
        LOG.parent.mkdir(exist_ok=True)
        with LOG.open("a") as file:
            file.write(json.dumps(row) + "\n")
    done = finished()
    rows = [done[key(job)] for job in jobs() if key(job) in done]
    import reasoner_plot
    import results_file

    metrics, notes = report(rows)
    print(results_file.write("reasoner", metrics, SEEDS, notes))
    print(reasoner_plot.draw(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
