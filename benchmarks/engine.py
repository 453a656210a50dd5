"""Our trainer beside TRL's SFTTrainer and transformers' Trainer: CPU seconds for the same work.

    make bench-engine                          everything, about 40 minutes of one core
    python benchmarks/engine.py --minutes 5    stop after the round in which 5 minutes are over;
                                               the same command goes on until the file is written
    python benchmarks/engine.py --quick        one small round, same metrics, not written

All sides run in one process and take turns, the order turned round each time (ABBA). A pilot on
few pairs finds each size's best settings of the rivals, and the measured rounds are run against
those; at five million parameters the first round is run against every setting. From 25 million
parameters on bfloat16 is the best of every side, so only that is measured. CPU seconds of one
thread are the figure: on a machine that others use they hold where wall time does not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
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
ROUNDS, HELD_OUT, PILOT = 5, 24, 24
GO_ON = 3  # exit code: the time is over, there is more to do


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison: a size of model, a vocabulary, a number of pairs.

    `every`: the first round measures every setting of the rivals, and no pilot is needed.
    """

    name: str
    size: str
    vocabulary: int
    pairs: int
    every: bool = False
    rounds: int = ROUNDS
    only: str = ""  # measure this precision only


PARTS = (
    Part("5m", "5m", 4096, 54, every=True, rounds=9),
    Part("25m", "25m", 4096, 96, only="bf16"),
    Part("100m", "100m", 4096, 80, rounds=3, only="bf16"),
    Part("5m_32k", "5m", 32_768, 54, only="bf16"),
    Part("5m_500", "5m", 4096, 500, only="bf16"),
    Part("25m_32k", "25m", 32_768, 96, only="bf16"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one small round, not written")
    parser.add_argument("--report", action="store_true", help="write what was measured so far")
    parser.add_argument("--minutes", type=float, help="stop after the round that passes them")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    parts = [replace(p, pairs=8, rounds=1) for p in PARTS[:2]] if given.quick else list(PARTS)
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
    metrics, notes = report(rows, [part.name for part in PARTS])
    print(json.dumps(metrics, indent=1))
    if not given.quick:
        print(results_file.write("engine", metrics, range(ROUNDS), notes, packages=("trl",)))
    if not given.report:
        log.unlink()
    return 0


def _measured(parts: Sequence[Part], log: Path, *, rounds: int, quick: bool) -> Iterator[Row]:
    """What is not in the log yet, row by row; `last` marks the end of a round."""
    from engine_sides import OURS, RIVALS

    known = {(row["part"], row["round"]) for row in _read(log) if row["last"]}
    for place, part in enumerate(parts):
        if place == min(2, len(parts) - 1):
            yield from _whole(known, rounds)
        if (part.name, "pilot") not in known and not (part.every and not quick):
            tried = replace(part, pairs=8 if quick else PILOT)
            sides = list(RIVALS)[3:5] if quick else list(RIVALS)
            yield from _round(tried, "pilot", [*sides[:1], *sides])  # the first warms up
        for number in range(part.rounds):
            rivals = list(RIVALS) if part.every and not number and not quick else _best(log, part)
            sides = [side for side in [*OURS, *rivals] if side.endswith(part.only)]
            if (part.name, number) not in known:
                yield from _round(part, number, sides[:: -1 if number % 2 else 1])


def _whole(known: set[Any], rounds: int) -> Iterator[Row]:
    """The comparison of losses, and the whole job in fresh processes."""
    if ("one_step", 0) not in known:
        yield from _one_step()
    for number in range(min(rounds, 3)):
        if (JOB, number) not in known:
            yield from _jobs(number)


def _round(part: Part, number: int | str, sides: Sequence[str]) -> Iterator[Row]:
    import engine_data
    from engine_sides import SIDES, Job

    seed = number if isinstance(number, int) else 99
    base = engine_data.base(_folder(part.size, part.vocabulary), part.size, part.vocabulary)
    job = Job(
        base,
        engine_data.pairs(part.pairs, 1, part.vocabulary),
        engine_data.pairs(HELD_OUT, 2, part.vocabulary),
        seed,
    )
    _warm_up(job, sides)
    for place, side in enumerate(sides, start=1):
        found = asdict(SIDES[side](job))
        load = os.getloadavg()[0]
        last = place == len(sides)
        yield {"part": part.name, "round": number, "side": side, "load": load, "last": last} | found


_warm: set[str] = set()


def _warm_up(job: Any, sides: Sequence[str]) -> None:
    """The first run of a process pays for imports and allocations: one that does not count."""
    from engine_sides import SIDES

    for side in {*sides} - _warm:
        SIDES[side](replace(job, pairs=job.pairs[:8], held_out=job.held_out[:1]))
        _warm.add(side)


def _one_step() -> Iterator[Row]:
    """One update over the same eight pairs: the sides must compute the same loss."""
    sides = ("ours fp32", "TRL padding_free fp32", "TRL padded fp32")
    yield from _round(Part("one_step", "5m", 4096, 8), 0, sides)


def _jobs(number: int) -> Iterator[Row]:
    import engine_data
    import engine_job

    base = engine_data.base(_folder("28m", 4096), "28m", 4096)
    order = [("ours", engine_job.ours), ("TRL", engine_job.trl)]
    for place, (side, work) in enumerate(order[:: -1 if number % 2 else 1]):
        load, wall = os.getloadavg()[0], time.perf_counter()
        cpu = work(base, number)
        row = {"part": JOB, "round": number, "side": side, "load": load, "last": place == 1}
        yield row | {"train": cpu, "wall": time.perf_counter() - wall}


def _folder(size: str, vocabulary: int) -> Path:
    return LOG.parent / "bases" / f"{size}-{vocabulary}"


def _best(log: Path, part: Part) -> list[str]:
    """The rivals' quickest settings of each precision, by the pilot or by the first full round.

    One of each; two where the first round is one of those that count, for its order is not fair.
    """
    tried = 0 if part.every else "pilot"
    rows = [row for row in _rows(log, part.name) if row["round"] in (tried, "pilot")]
    found: list[str] = []
    for kind in ("fp32", "bf16"):
        rivals = [row for row in rows if row["side"].endswith(kind) and not is_ours(row["side"])]
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
