"""Our trainer beside TRL's SFTTrainer and DPOTrainer and transformers' Trainer: CPU seconds for the
same work.

    make bench-engine                          everything, about 25 minutes of one core
    python benchmarks/engine.py --minutes 5    stop after the round in which 5 minutes are over;
                                               the same command goes on until the file is written
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
from pathlib import Path
from typing import Any

import results_file
from engine_report import JOB, Row, is_ours, report

for name, value in {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}.items():
    os.environ[name] = value  # before torch is imported

LOG = Path(__file__).parents[1] / ".bench" / "engine.jsonl"
ROUNDS, HELD_OUT, PILOT, FEW = 5, 24, 24, 8
GO_ON = 3  # exit code: the time is over, there is more to do


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison: a size of model, a vocabulary, a number of pairs.

    `every`: the first round measures every setting of the rivals, and no pilot is needed. `pilot`:
    the part whose pilot chooses the rivals, where it is another one.
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


PARTS = (
    Part("5m", "5m", 4096, 54, every=True, rounds=9),
    Part("dpo_5m", "5m", 4096, 48, objective="dpo"),
    Part("25m", "25m", 4096, 96, only="bf16"),
    Part("100m", "100m", 4096, 40, rounds=3, only="bf16", pilot="25m"),
    Part("5m_32k", "5m", 32_768, 54, rounds=3, only="bf16"),
    Part("25m_32k", "25m", 32_768, 48, rounds=3, only="bf16", pilot="25m"),
    Part("5m_500", "5m", 4096, 500, rounds=2, only="fp32", pilot="5m"),
)
QUICK = (0, 1)  # places of the parts of a quick run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one small round, not written")
    parser.add_argument("--report", action="store_true", help="write what was measured so far")
    parser.add_argument("--minutes", type=float, help="stop after the round that passes them")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    parts = list(PARTS)
    if given.quick:
        parts = [replace(PARTS[place], pairs=FEW, rounds=1, every=False) for place in QUICK]
    log = Path(tempfile.mkdtemp()) / "quick.jsonl" if given.quick else LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * (given.minutes or 1e9)
    _drop_unfinished(log)
    todo: Iterator[Row] = iter(())
    if not given.report:
        todo = _measured(parts, log, rounds=1 if given.quick else ROUNDS, quick=given.quick)
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
    if not given.quick:
        print(results_file.write("engine", metrics, range(ROUNDS), notes, packages=("trl",)))
    if not given.report:
        log.unlink()
    return 0


def _measured(parts: Sequence[Part], log: Path, *, rounds: int, quick: bool) -> Iterator[Row]:
    """What is not in the log yet, row by row; `last` marks the end of a round."""
    known = {(row["part"], row["round"]) for row in _read(log) if row["last"]}
    for place, part in enumerate(parts):
        if place == 1:
            yield from _whole(known, rounds, quick)
        ours, rivals = _sides(part.objective)
        if (part.name, "pilot") not in known and not part.every and not part.pilot:
            sides = list(rivals)[3:5] if quick else list(rivals)
            tried = replace(part, pairs=FEW if quick else PILOT)
            yield from _round(tried, "pilot", [*sides[:1], *sides])  # the first warms up
        for number in range(part.rounds):
            if (part.name, number) in known:
                continue
            theirs = list(rivals) if part.every and not number else _best(log, part)
            sides = [*(side for side in ours if side.endswith(part.only)), *theirs]
            yield from _round(part, number, sides[:: -1 if number % 2 else 1])


def _whole(known: set[Any], rounds: int, quick: bool) -> Iterator[Row]:
    """The comparison of losses, and the whole job in fresh processes."""
    if ("one_step", 0) not in known:
        yield from _one_step()
    if ("pair_losses", 0) not in known:
        yield from _pair_losses()
    for number in range(min(rounds, 3)):
        if (JOB, number) not in known:
            yield from _jobs(number, *((FEW, 1) if quick else ()))


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
    return Job(base, rows, made(HELD_OUT, 2, part.vocabulary), seed)


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


def _one_step() -> Iterator[Row]:
    """One update over the same eight pairs: the sides must compute the same loss."""
    sides = ("ours fp32", "TRL padding_free fp32", "TRL padded fp32")
    yield from _round(Part("one_step", "5m", 4096, 8), 0, sides)


def _pair_losses() -> Iterator[Row]:
    """The DPO loss of each of eight pairs, computed by both sides."""
    import engine_preferences

    found = engine_preferences.pair_losses(_job_of(Part("", "5m", 4096, 8, objective="dpo"), 0))
    for place, (side, losses) in enumerate(zip(("ours", "TRL"), found, strict=True)):
        row = {"part": "pair_losses", "round": 0, "side": side, "load": os.getloadavg()[0]}
        yield row | {"last": place == 1, "train": 0.0, "losses": losses}


def _jobs(number: int, *size: int) -> Iterator[Row]:
    import engine_data
    import engine_job

    base = engine_data.base(_folder("28m", 4096), "28m", 4096)
    order = [("ours", engine_job.ours), ("TRL", engine_job.trl)]
    for place, (side, work) in enumerate(order[:: -1 if number % 2 else 1]):
        load, wall = os.getloadavg()[0], time.perf_counter()
        cpu = work(base, number, *size)
        row = {"part": JOB, "round": number, "side": side, "load": load, "last": place == 1}
        yield row | {"train": cpu, "wall": time.perf_counter() - wall}


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
