"""What single techniques are worth on the demo's team: `honewheel ablate` with three seeds.

A simulated team's small project, its feedback and its held-out suites; each technique is
trained with and without, at equal updates, on the same seeds. Reported whatever comes out.

    make bench-ablation            three seeds, some minutes on two idle cores
    python benchmarks/ablation.py --quick    one seed, little data, same metrics, not written
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import results_file
from results_file import metric

import honewheel as hw
from honewheel.demo import team
from honewheel.records import Progress

SEEDS = 3
TECHNIQUES = ("replay", "augment")
# Less than the demo's: nine trainings have to end while somebody waits. A small log is also where
# a technique has most to add.
SIZES = team.Sizes(
    asked={"erd": 70, "ddl": 25, "gherkin": 20}, held_out={"erd": 30, "ddl": 30, "gherkin": 20}
)
LITTLE = team.Sizes(
    asked={"erd": 60, "ddl": 15, "gherkin": 15}, held_out={"erd": 16, "ddl": 10, "gherkin": 10}
)
PICTURES = Path(__file__).parent / "results"


def quiet(_: Progress) -> None:
    """Listens to nothing."""


def prepared(folder: Path, sizes: team.Sizes) -> Any:
    """An open project with a team's feedback and suites in it."""
    found = team.prepare(folder, seed=0, sizes=sizes, now=datetime.now(UTC), listen=quiet)
    wheel = hw.open(folder, environment={})
    for path in found.feedback:
        wheel.import_file(path)
    for kind, path in found.suites.items():
        wheel.suite_import(path, task=kind)
    return wheel


def summarise(found: dict[str, Any]) -> dict[str, Any]:
    """Effect of each technique in points with its 95 % interval, over all tasks and by task."""
    metrics: dict[str, Any] = {}
    for one in found["findings"]:
        name = one["technique"]
        for row in [one["effect"], *one["tasks"]]:
            key = name if row is one["effect"] else f"{name}_{row['name']}"
            metrics[key] = metric(
                100 * row["difference"], "points", 100 * row["low"], 100 * row["high"]
            )
    return metrics | {"updates": metric(found["updates"], "updates")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    trouble = results_file.busy()
    with tempfile.TemporaryDirectory(prefix="honewheel-bench-") as root:
        wheel = prepared(Path(root) / "team", LITTLE if quick else SIZES)
        study = wheel.study(techniques=TECHNIQUES, seeds=1 if quick else SEEDS)
        print(json.dumps(study.cost), file=sys.stderr, flush=True)
        found = study.run(quiet)
        metrics = summarise(found)
        print(json.dumps(metrics, indent=2))
        if not quick:
            shutil.copyfile(found["plots"]["effects"], PICTURES / "ablation.png")
        wheel.close()
    if not quick:
        notes = [
            ", ".join(f"{one['technique']}: {one['answer']}" for one in found["findings"]),
            "score over all tasks with the technique minus without it, and by task; intervals hold "
            "both the held-out prompts and the training seeds",
            *([f"the machine was busy ({trouble}); no figure here is a time"] if trouble else []),
        ]
        print(results_file.write("ablation", metrics, tuple(found["seeds"]), notes))


if __name__ == "__main__":
    main()
