"""Our trainer beside TRL's SFTTrainer and DPOTrainer and transformers' Trainer: CPU seconds for the
same work.

    make bench-engine                          everything, about 25 minutes of one core
    python benchmarks/engine.py --minutes 5    stop after the round in which 5 minutes are over;
                                               the same command goes on until the file is written
    python benchmarks/engine.py --long         and, last, the job of 5,000 examples (half an hour of
                                               one core more); also after a whole run, with its rows
    python benchmarks/engine.py --quick        one small round, same metrics, not written

All sides run in one process and take turns, the order turned round each time (ABBA). A pilot on
few pairs finds each size's best settings of the rivals, and the measured rounds are run against
those; at five million parameters the first round is run against every setting. Where one precision
is the best of every side, only that is measured; a larger vocabulary or model takes the pilot of a
smaller one. CPU seconds of one thread are the figure: on a machine that others use they hold where
wall time does not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import engine_plot
import results_file
from engine_report import JOB, LARGE_JOB, WARM, Row, is_ours, report

for name, value in {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ[name] = value  # before torch is imported

LOG = Path(__file__).parents[1] / ".bench" / "engine.jsonl"
WHOLE = LOG.with_name("engine-whole.jsonl")  # the rows of the newest run that came to its end
ROUNDS, JOBS, HELD_OUT, PILOT, FEW = 5, 3, 24, 24, 8
GO_ON = 3  # exit code: the time is over, there is more to do


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison: a size of model, a vocabulary, a number of pairs.

    `every`: the first round measures every setting of the rivals, and no pilot is needed. `pilot`:
    the part whose pilot chooses the rivals, where it is another one. `theirs`: the rivals, where
    no pilot chooses them.
    """

    name: str
    size: str
    vocabulary: int
    pairs: int
    every: bool = False
    rounds: int = ROUNDS
    only: str = ""  # measure this precision of ours, against the one best setting of the rivals
    pilot: str = ""
    objective: str = "sft"
    theirs: tuple[str, ...] = ()
    held_out: int = HELD_OUT


PARTS = (
    Part("5m", "5m", 4096, 54, every=True, rounds=9),
    Part("dpo_5m", "5m", 4096, 48, objective="dpo"),
    Part("25m", "25m", 4096, 96, only="bf16"),
    Part("100m", "100m", 4096, 40, rounds=3, only="bf16", pilot="25m"),
    Part("5m_32k", "5m", 32_768, 54, rounds=3, only="bf16"),
    Part("25m_32k", "25m", 32_768, 48, rounds=3, only="bf16", pilot="25m"),
    Part("5m_500", "5m", 4096, 500, rounds=2, only="fp32", pilot="5m"),
)
_LITTLE: Any = {"pairs": FEW, "rounds": 1, "every": False, "held_out": 4}
QUICK = (
    replace(PARTS[0], theirs=("TRL padding_free fp32", "TRL padding_free bf16"), **_LITTLE),
    replace(PARTS[1], theirs=("TRL reference once fp32", "TRL reference once bf16"), **_LITTLE),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one small round, not written")
    parser.add_argument("--report", action="store_true", help="write what was measured so far")
    parser.add_argument("--long", action="store_true", help="the job of 5,000 examples, last")
    parser.add_argument("--minutes", type=float, help="stop after the round that passes them")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    parts = QUICK if given.quick else PARTS
    log = Path(tempfile.mkdtemp()) / "quick.jsonl" if given.quick else LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * (given.minutes or 1e9)
    if given.long and not given.quick and not log.is_file() and WHOLE.is_file():
        WHOLE.replace(log)
    _drop_unfinished(log)
    todo: Iterator[Row] = iter(())
    if not given.report:
        todo = _measured(parts, log, given.quick)
        todo = chain(todo, _large_job(log, given.quick) if given.long else ())
    for row in todo:
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        _tell(row)
        if row["last"] and time.monotonic() > deadline:
            print("there is more to do: run the same command again")
            return GO_ON
    rows = _read(log)
    metrics, notes = report(rows, [part.name for part in parts])
    print(json.dumps(metrics, indent=1))
    if given.quick:
        return 0
    print(results_file.write("engine", metrics, range(ROUNDS), notes, packages=("trl",)))
    print(engine_plot.draw(metrics | results_file.repeated("cycle", "cycle_cpu_ratio_vs_soup")))
    if not given.report:
        log.replace(WHOLE)
    return 0


def _measured(parts: Sequence[Part], log: Path, quick: bool) -> Iterator[Row]:
    """What is not in the log yet, row by row; `last` marks the end of a round."""
    known = {(row["part"], row["round"]) for row in _read(log) if row["last"]}
    for place, part in enumerate(parts):
        if place == 1:
            yield from _whole(known, quick)
        ours, rivals = _sides(part.objective)
        piloted = part.every or part.pilot or part.theirs
        if (part.name, "pilot") not in known and not piloted:
            sides = [next(iter(rivals)), *rivals]  # the first warms up
            yield from _round(replace(part, pairs=PILOT), "pilot", sides)
        for number in range(part.rounds):
            if (part.name, number) in known:
                continue
            every = part.every and not number
            theirs = part.theirs or (list(rivals) if every else _best(log, part))
            sides = [*(side for side in ours if side.endswith(part.only)), *theirs]
            yield from _round(part, number, sides[:: -1 if number % 2 else 1])


def _whole(known: set[Any], quick: bool) -> Iterator[Row]:
    """The comparison of losses, and the whole job in fresh processes."""
    if ("one_step", 0) not in known:
        yield from _one_step(QUICK[0].held_out if quick else HELD_OUT)
    if ("pair_losses", 0) not in known:
        yield from _pair_losses()
    if (WARM, 0) not in known:
        yield from _warm_run()
    for number in range(1 if quick else JOBS):
        if (JOB, number) not in known:
            yield from _jobs(number, "5m" if quick else "28m", *((FEW, 1) if quick else ()))


def _sides(objective: str) -> tuple[Any, Any]:
    """(ours, the rivals') runs by name."""
    import engine_preferences
    import engine_sides

    room = engine_sides if objective == "sft" else engine_preferences
    return room.OURS, room.RIVALS


def _job_of(part: Part, seed: int) -> Any:
    import engine_data
    from engine_sides import Job

    base = engine_data.base(_folder(part.size, part.vocabulary), part.size, part.vocabulary)
    made: Any = engine_data.pairs if part.objective == "sft" else engine_data.preferences
    rows = made(part.pairs, 1, part.vocabulary)
    return Job(base, rows, made(part.held_out, 2, part.vocabulary), seed)


def _round(part: Part, number: int | str, sides: Sequence[str]) -> Iterator[Row]:
    from honewheel.families import precision

    job = _job_of(part, number if isinstance(number, int) else 99)
    runs = dict(ChainMap(*_sides(part.objective)))
    _warm_up(part.objective, job, {side: runs[side] for side in sides})
    usual = {"float32": "ours fp32", "bfloat16": "ours bf16"}[precision.realised("auto", job.base)]
    for place, side in enumerate(sides, start=1):
        found = asdict(runs[side](job))
        row = {"part": part.name, "round": number, "side": side, "load": os.getloadavg()[0]}
        yield row | {"usual": side == usual, "last": place == len(sides)} | found


_warm: set[tuple[str, str]] = set()


def _warm_up(objective: str, job: Any, runs: Mapping[str, Any]) -> None:
    """The first run of a process pays for imports and allocations: one that does not count."""
    if len(job.pairs) <= FEW:  # a quick look: nothing of it counts
        return
    for side, run in runs.items():
        if (objective, side) not in _warm:
            run(replace(job, pairs=job.pairs[:FEW], held_out=job.held_out[:1]))
            _warm.add((objective, side))


def _one_step(held_out: int) -> Iterator[Row]:
    """One update over the same eight pairs: the sides must compute the same loss."""
    sides = ("ours fp32", "TRL padding_free fp32", "TRL padded fp32")
    yield from _round(Part("one_step", "5m", 4096, 8, held_out=held_out), 0, sides)


def _pair_losses() -> Iterator[Row]:
    """The DPO loss of each of eight pairs, computed by both sides."""
    import engine_preferences

    found = engine_preferences.pair_losses(_job_of(Part("", "5m", 4096, 8, objective="dpo"), 0))
    for place, (side, losses) in enumerate(zip(("ours", "TRL"), found, strict=True)):
        row = {"part": "pair_losses", "round": 0, "side": side, "load": os.getloadavg()[0]}
        yield row | {"last": place == 1, "train": 0.0, "losses": losses}


def _warm_run() -> Iterator[Row]:
    """A small training in a process that loads the libraries, and in a fork of one that has."""
    import engine_data
    import engine_job

    base = engine_data.base(_folder("5m", 4096), "5m", 4096)
    found = engine_job.warm(base, 0, FEW, 1)
    for place, (side, cpu) in enumerate(zip(("ours cold", "ours warm"), found, strict=True)):
        row = {"part": WARM, "round": 0, "side": side, "load": os.getloadavg()[0]}
        yield row | {"last": place == 1, "train": cpu}


def _jobs(number: int, model: str, *size: int) -> Iterator[Row]:
    import engine_job

    order = [("ours", engine_job.ours), ("TRL", engine_job.trl)]
    for place, (side, work) in enumerate(order[:: -1 if number % 2 else 1]):
        yield _timed(JOB, model, number, side, work, size) | {"last": place == 1}


def _large_job(log: Path, quick: bool) -> Iterator[Row]:
    """The job of 5,000 examples in a fresh process: ours, then TRL's; each is kept when it ends."""
    import engine_job

    size = (2 * FEW if quick else engine_job.MANY, 1)
    known = {row["side"] for row in _rows(log, LARGE_JOB)}
    for place, (side, work) in enumerate((("ours", engine_job.ours), ("TRL", engine_job.trl))):
        if side not in known:
            yield _timed(LARGE_JOB, "28m", place, side, work, size) | {"last": True}


def _timed(part: str, model: str, number: int, side: str, work: Any, size: Sequence[int]) -> Row:
    """One job of one side in a fresh process."""
    import engine_data

    base = engine_data.base(_folder(model, 4096), model, 4096)
    load, wall = os.getloadavg()[0], time.perf_counter()
    cpu = work(base, number, *size)
    took = time.perf_counter() - wall
    return {"part": part, "round": number, "side": side, "load": load, "train": cpu, "wall": took}


def _folder(size: str, vocabulary: int) -> Path:
    return LOG.parent / "bases" / f"{size}-{vocabulary}"


def _best(log: Path, part: Part) -> list[str]:
    """The rivals' quickest settings, by the pilot or by the first full round.

    One of each precision, or one of all where one precision of ours is measured; two of each
    where the first round is one of those that count, for its order is not fair.
    """
    chooses = part.pilot or part.name
    tried = [row for row in _rows(log, chooses) if row["round"] in (0, "pilot")]
    if piloted := [row for row in tried if row["round"] == "pilot"][1:]:
        tried = piloted
    found: list[str] = []
    for kind in ("",) if part.only else ("fp32", "bf16"):
        rivals = [row for row in tried if row["side"].endswith(kind) and not is_ours(row["side"])]
        quickest = dict.fromkeys(row["side"] for row in sorted(rivals, key=lambda r: r["train"]))
        found += list(quickest)[: 2 if part.every else 1]
    return found


def _rows(log: Path, part: str) -> list[Row]:
    return [row for row in _read(log) if row["part"] == part]


def _read(log: Path) -> list[Row]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []


def _drop_unfinished(log: Path) -> None:
    """Forget rows of a round that was killed before its last side: it is run again."""
    rows = _read(log)
    whole = {(row["part"], row["round"]) for row in rows if row["last"]}
    kept = [row for row in rows if (row["part"], row["round"]) in whole]
    log.write_text("".join(json.dumps(row) + "\n" for row in kept))


def _tell(row: Row) -> None:
    print(f"{row['part']:<8} {row['round']!s:<6} {row['side']:<30} {row['train']:8.2f} CPU s")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
