"""What a long history costs: appending a million events, then `honewheel status` on them.

make bench-store                      a million events, a few minutes
python benchmarks/store.py --quick    20,000 events, same metrics, not written
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import results_file
from results_file import metric

import honewheel as hw
from honewheel.records import Feedback, Response

BATCH = 1_000
RUNS = 7
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def rows(start: int) -> tuple[list[Response], list[Feedback]]:
    """A batch of responses with one thumb each."""
    numbers = range(start, start + BATCH)
    responses = [
        Response(id=f"evt_{n}", task="erd", prompt=f"request {n}", output="x" * 400, created_at=NOW)
        for n in numbers
    ]
    thumbs = [
        Feedback(
            id=f"fb_{n}",
            response_id=f"evt_{n}",
            kind="thumb",
            value=1.0,
            source="bench",
            created_at=NOW,
        )
        for n in numbers
    ]
    return responses, thumbs


def timed(*words: str, folder: Path) -> list[float]:
    """Wall seconds of RUNS fresh processes of one command."""
    command = [sys.executable, "-m", "honewheel", "--project", str(folder), *words]
    found = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        found.append(time.perf_counter() - started)
    return found


def spread(values: list[float]) -> dict[str, object]:
    found: dict[str, object] = metric(statistics.median(values), "s", min(values), max(values))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    events = 20_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory(prefix="honewheel-bench-") as root:
        folder = Path(root)
        hw.init(folder)
        wall, cpu = time.perf_counter(), time.process_time()
        with hw.open(folder, environment={}) as wheel:
            for start in range(0, events, BATCH):
                wheel.store.log.append(*rows(start))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        metrics = {
            "events": metric(events, "events"),
            "appended_per_second": metric(events / wall, "events/s"),
            "append_cpu_per_event": metric(1e6 * cpu / events, "us"),
            "status_seconds": spread(timed("status", "--json", folder=folder)),
            "help_seconds": spread(timed("--help", folder=folder)),
        }
    print(json.dumps(metrics, indent=2))
    notes = [f"batches of {BATCH}, SQLite, synchronous=FULL; seconds are medians of {RUNS} runs"]
    if trouble := results_file.busy():
        notes.append(f"taken on a busy machine ({trouble})")
    if not quick:
        print(results_file.write("store", metrics, [0], notes))


if __name__ == "__main__":
    main()
