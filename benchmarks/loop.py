"""The whole loop over HTTP with real processes: promoted, taken back, refused, and twenty kills.

The walk of tests/walk.py, once undisturbed, which gives seconds and requests, and once with server
and worker killed at twenty random moments, which must end the same.

    make bench-loop                          both, some ten minutes on two idle cores
    python benchmarks/loop.py --only calm    one of them, "calm" or "killed"; --report writes
    python benchmarks/loop.py --quick        the undisturbed walk alone, not written
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import results_file
from results_file import metric

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import walk
from walk_team import Sizes

LOGS = Path(__file__).parents[1] / ".bench"
KILLS = {"calm": (0, 0, 0), "killed": (7, 7, 6)}
SEED = 0
MOMENTS = ("gate", "champion", "rollback", "refusal")
COUNTS = {
    "requests_to_champion": "requests",
    "corrections_to_champion": "corrections",
    "requests_to_rollback": "requests",
    "outcomes_to_rollback": "rated answers of the version, healthy ones too",
    "poisoned_corrections": "corrections",
}
SURVIVED = {
    "kills": "kills",
    "requests": "requests",
    "requests_sent_again": "attempts",
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


def walked(name: str) -> dict[str, Any]:
    """One walk: all its figures, its end, and who was killed while it did what."""
    busy = results_file.busy()
    with tempfile.TemporaryDirectory(prefix="honewheel-bench-") as root:
        folder = Path(root) / name
        found = walk.walk(folder, Sizes(), kills=KILLS[name], seed=SEED, tell=_tell)
        figures = found.figures | walk.in_store(folder, found)
    return {
        "figures": figures,
        "end": end(found),
        "kills": Counter(f"{one.which} while {one.doing}" for one in found.kills),
        "rolled_back": found.trials[0]["reason"],
        "busy": busy,
    }


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def end(found: walk.Walked) -> dict[str, Any]:
    """What a walk comes to, whatever happened on the way."""
    return {
        "champion": found.standing["champion"],
        "promoted": [one["name"] for one in found.versions if one["verdict"] == "promote"],
        "refused": [
            one["name"] for one in found.versions if one["verdict"] not in ("promote", None)
        ],
        "trials": [[one["version"], one["ended"]] for one in reversed(found.trials)],
        "moves": [[one["alias"], one["version"]] for one in found.moves],
        "spoken": {name: len(names) for name, names in found.acts.items()},
    }


def of_the_calm(figures: dict[str, float]) -> dict[str, Any]:
    metrics = {
        f"{kind}_to_{name}": metric(round(figures[f"{kind}_to_{name}"], 1), unit)
        for name in MOMENTS
        for kind, unit in (("seconds", "s"), ("cpu_seconds", "CPU s"))
    }
    metrics |= {name: metric(figures[name], unit) for name, unit in COUNTS.items()}
    return metrics | {"cpu_seconds": metric(round(figures["cpu_seconds"], 1), "CPU s")}


def report(calm: dict[str, Any], killed: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The metrics and notes of both walks."""
    survived = killed["figures"]
    metrics = of_the_calm(calm["figures"])
    metrics |= {name: metric(survived[name], unit) for name, unit in SURVIVED.items()}
    metrics["cpu_seconds_killed"] = metric(round(survived["cpu_seconds"], 1), "CPU s")
    metrics["same_end"] = metric(int(calm["end"] == killed["end"]), "1: as without kills")
    notes = [
        "seconds (on the clock, and of CPU in server and worker) and requests are of the "
        "undisturbed walk, from the first request of the act; to the rollback, from the first "
        "request after which users stop taking the version's answers. Events, kills, datasets and "
        "versions are of the walk with kills",
        "the end of both walks: " + json.dumps(killed["end"]),
        "kills: "
        + ", ".join(f"{count} x {what}" for what, count in sorted(killed["kills"].items())),
        "the trial that ended in the rollback: " + calm["rolled_back"],
    ]
    if calm["busy"]:
        notes.append(f"the clock's seconds were taken on a busy machine ({calm['busy']})")
    return metrics, notes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the undisturbed walk, not written")
    parser.add_argument("--only", choices=list(KILLS), help="this walk; keep its figures")
    parser.add_argument("--report", action="store_true", help="write what both walks gave")
    given = parser.parse_args()
    if given.quick:
        print(json.dumps(of_the_calm(walked("calm")["figures"]), indent=2))
        return
    LOGS.mkdir(exist_ok=True)
    for name in (given.only,) if given.only else () if given.report else KILLS:
        (LOGS / f"loop-{name}.json").write_text(json.dumps(walked(name)))
    if given.only:
        return
    calm, killed = (json.loads((LOGS / f"loop-{name}.json").read_text()) for name in KILLS)
    metrics, notes = report(calm, killed)
    print(json.dumps(metrics, indent=2))
    print(results_file.write("loop", metrics, [SEED], notes, packages=["openai"]))


if __name__ == "__main__":
    main()
