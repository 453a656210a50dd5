"""The whole loop over HTTP with real processes: promoted, taken back, refused, and twenty kills.

The walk of tests/walk.py, once undisturbed, which gives seconds and requests, and once with server
and worker killed at twenty random moments, which must end the same.

    make bench-loop                      both, some ten minutes on two idle cores
    python benchmarks/loop.py --quick    the undisturbed walk alone, not written
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import results_file
from results_file import metric

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import walk

KILLS = (7, 7, 6)
SEED = 0
SECONDS = ("seconds_to_gate", "seconds_to_champion", "seconds_to_rollback", "seconds_to_refusal")
COUNTS = {
    "requests_to_champion": "requests",
    "corrections_to_champion": "corrections",
    "requests_to_rollback": "requests",
    "bad_outcomes_to_rollback": "rated answers of the version",
    "poisoned_corrections": "corrections",
}
SURVIVED = {
    "kills": "kills",
    "requests": "requests",
    "requests_sent_again": "requests",
    "events_acknowledged": "events",
    "events_lost": "events",
    "events_doubled": "events",
    "events_stored_twice": "events",
    "events_trained": "events",
    "events_trained_twice": "events",
    "events_foreign": "events",
    "datasets": "datasets",
    "versions": "versions",
}


def walked(folder: Path, kills: tuple[int, int, int]) -> tuple[walk.Walked, dict[str, float]]:
    """One walk, and all its figures."""
    found = walk.walk(folder, walk.Sizes(), kills=kills, seed=SEED, tell=_tell)
    return found, found.figures | walk.in_store(folder, found)


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def end(found: walk.Walked) -> dict[str, Any]:
    """What a walk comes to, whatever happened on the way."""
    return {
        "champion": found.standing["champion"],
        "verdicts": [(one["name"], one["verdict"]) for one in found.versions],
        "trials": [(one["version"], one["ended"]) for one in reversed(found.trials)],
        "moves": [(one["alias"], one["version"]) for one in found.moves],
        "spoken": {name: len(names) for name, names in found.acts.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the undisturbed walk, not written")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="honewheel-bench-") as root:
        calm, figures = walked(Path(root) / "calm", (0, 0, 0))
        metrics = {name: metric(round(figures[name], 1), "s") for name in SECONDS}
        metrics |= {name: metric(figures[name], unit) for name, unit in COUNTS.items()}
        metrics["cpu_seconds"] = metric(round(figures["cpu_seconds"], 1), "CPU s")
        if quick:
            print(json.dumps(metrics, indent=2))
            return
        killed, survived = walked(Path(root) / "killed", KILLS)
    metrics |= {name: metric(survived[name], unit) for name, unit in SURVIVED.items()}
    metrics["same_end"] = metric(int(end(calm) == end(killed)), "1: as without kills")
    moments = Counter(f"{one.which} while {one.doing}" for one in killed.kills)
    notes = [
        "seconds and requests are of the undisturbed walk, from the first request of the act (to "
        "the rollback: from the first request after which users stop taking the version's "
        "answers); events, kills, datasets and versions are of the walk with kills",
        f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores at the end",
        "the end of both walks: " + json.dumps(end(killed)),
        "kills: " + ", ".join(f"{count} x {what}" for what, count in sorted(moments.items())),
        "the trial that ended in the rollback: " + str(calm.trials[0]["reason"]),
    ]
    print(json.dumps(metrics, indent=2))
    print(results_file.write("loop", metrics, [SEED], notes, packages=["openai"]))


if __name__ == "__main__":
    main()
