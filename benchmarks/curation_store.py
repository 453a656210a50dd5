"""What a long log costs: taking in one event more, and building a dataset, in processes apart.

python benchmarks/curation_store.py FOLDER LAST    builds from all up to sequence number LAST and
prints seconds, peak memory and counts as JSON; run again with a later LAST, it is the next cycle
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import curation_log
from results_file import metric

import honewheel as hw
from honewheel.loop import intake, material
from honewheel.records import Cycle

NEW = 500
QUICK = {"10k": 600, "100k": 1_500, "1m": 3_000}
SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}


def database(folder: Path) -> Path:
    return folder / ".honewheel" / "store.db"


def make(folder: Path, events: int) -> None:
    """A project with a log of `events` events, of which the last NEW are corrections."""
    folder.mkdir(parents=True, exist_ok=True)
    curation_log.project(folder)
    with hw.open(folder, environment={}):
        pass  # opening makes the tables
    curation_log.fill(database(folder), 0, events, corrected_from=events - NEW)


def event_cost(folder: Path, events: int) -> dict[str, float]:
    """Microseconds that intake takes for a new event: CPU, wall, and the CPU of the check alone.

    The new events are NEW that follow in the generator, a fifth of them near-copies.
    """
    new = [curation_log.asked(number) for number in range(events, events + NEW)]
    with hw.open(folder, environment={}) as wheel:
        check = intake.checker(wheel.config)
        wheel.store.log.append([curation_log.response(one) for one in new])
        started = time.process_time()
        for one in new:
            check(one.task, one.output, {})
        checked = time.process_time() - started
        wall, cpu = time.perf_counter(), time.process_time()
        done = intake.run(wheel.store, wheel.config, lambda _: None)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if done != NEW:
        raise RuntimeError(f"{done} events were taken in, not {NEW}.")
    return {name: 1e6 * one / NEW for name, one in
            (("cpu", cpu), ("wall", wall), ("check", checked))}  # fmt: skip


def build(folder: Path, last: int) -> dict[str, Any]:
    """Gather, make and seal the dataset of everything up to sequence number `last`."""
    wall = time.perf_counter()
    with hw.open(folder, environment={}) as wheel:
        gathered = material.gather(
            wheel.store, wheel.config, "artifacts", None, last, curation_log.NOW, lambda _: None
        )
        built = material.make(gathered, wheel.config, curation_log.NOW)
        cycle = turned(wheel, last)
        before = database(folder).stat().st_size
        wheel.store.datasets.seal(built.dataset, cycle, last)
    grown = database(folder).stat().st_size - before
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]  # KiB
    train = built.dataset.train
    return {
        "wall": time.perf_counter() - wall,
        "cpu": used.ru_utime + used.ru_stime,
        "peak_mib": int(peak) / 1024,  # ru_maxrss of a child begins with its parent's
        "events": built.events,
        "held_out": len(gathered.held_out),
        "new": sum(row.role == "new" for row in train),
        "replay": sum(row.role == "replay" for row in train),
        "val": len(built.dataset.val),
        "dropped": len(built.dataset.dropped),
        "sealed_mib": grown / 2**20,
    }


def turned(wheel: hw.Wheel, last: int) -> str:
    """The id of a finished cycle with everything up to sequence number `last`."""
    cycles = wheel.store.cycles
    number = cycles.next_number("artifacts")
    name = f"artifacts-{number:04d}"
    cycles.start(
        Cycle(
            id=name,
            model="artifacts",
            number=number,
            state="running",
            as_of=curation_log.NOW,
            as_of_seq=last,
            config={},
            started_at=curation_log.NOW,
        )
    )
    cycles.finish(name, "done", "reject", None, curation_log.NOW)
    return name


def build_apart(folder: Path, events: int) -> dict[str, Any]:
    """`build` in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, str(folder), str(2 * events)]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    return found


def costs(sizes: dict[str, int], root: Path, kept: Path | None) -> tuple[dict[str, Any], list[str]]:
    """Metrics of every size of log, and of the build from the longest; notes beside them.

    `kept` is a folder with a log of the longest size from an earlier run, made when it is missing.
    """
    found: dict[str, Any] = {}
    notes = []
    longest = max(sizes, key=sizes.__getitem__)
    for name, events in sizes.items():
        folder = kept if kept is not None and name == longest else root / name
        if not database(folder).exists():
            make(folder, events)
        if name == longest:
            first = build_apart(folder, events - NEW)  # the cycle before: all but the new ones
            built = build_apart(folder, events)
            found["build_seconds_1m"] = metric(built["wall"], "s")
            found["build_cpu_seconds_1m"] = metric(built["cpu"], "s")
            found["build_peak_mib_1m"] = metric(built["peak_mib"], "MiB")
            found["build_sealed_mib_1m"] = metric(built["sealed_mib"], "MiB")
            notes.append(f"build of the longest log without its new events: {json.dumps(first)}")
            notes.append(f"build of the longest log: {json.dumps(built)}")
        cost = event_cost(folder, events)
        found[f"event_cost_us_{name}"] = metric(cost["cpu"], "us")
        found[f"event_cost_wall_us_{name}"] = metric(cost["wall"], "us")
        found[f"event_check_us_{name}"] = metric(cost["check"], "us")
    return found, notes


if __name__ == "__main__":
    print(json.dumps(build(Path(sys.argv[1]), int(sys.argv[2]))))
