"""What one cycle gives: held-out gain, validity, forgetting with and without replay, refusals.

For every seed a new simulated team with its own prompts, corrections and held-out suites:
the cycle with replay and the same data without it; for the first also a poisoned batch on top and
the same corrections shuffled. The worst seed is reported as `value`; `low` and `high` are the range
over seeds; `gain_low` is the lower end of a seed's own 95 % interval.

    make bench-demo            three seeds, about 17 minutes on two idle cores
    python benchmarks/demo.py --quick    one seed, small sizes, same metrics, not written
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import results_file
from results_file import metric

import honewheel as hw
from honewheel import gate
from honewheel.demo import team
from honewheel.demo.damage import POISON_SOURCE
from honewheel.evaluate.measure import Sides, measure
from honewheel.records import EvalRow, Progress

SEEDS = (0, 1, 2)
GUARDS = ("ddl", "gherkin")
SIMULATIONS = 1_000
LITTLE = team.Sizes(
    asked={"erd": 70, "ddl": 20, "gherkin": 20}, held_out={"erd": 32, "ddl": 30, "gherkin": 30}
)


def quiet(_: Progress) -> None:
    """Listens to nothing."""


def imported(folder: Path, seed: int, sizes: team.Sizes, **kwargs: Any) -> tuple[Any, team.Team]:
    """An open project with the team's feedback and suites in it."""
    found = team.prepare(
        folder, seed=seed, sizes=sizes, now=datetime.now(UTC), listen=quiet, **kwargs
    )
    wheel = hw.open(folder, environment={})
    for path in found.feedback:
        wheel.import_file(path)
    for kind, path in found.suites.items():
        wheel.suite_import(path, task=kind)
    return wheel, found


def mean(rows: list[EvalRow], version: str, task: str, name: str) -> float:
    """Mean of a metric in points."""
    found = [row.metrics[name] for row in rows if row.version == version and row.task == task]
    return 100 * sum(found) / len(found)


def drop(rows: list[EvalRow], challenger: str) -> float:
    """Largest loss of a guard task's score against the base, in points; negative is a gain."""
    return max(
        mean(rows, "artifacts@0", task, "score") - mean(rows, challenger, task, "score")
        for task in GUARDS
    )


def one_seed(root: Path, seed: int, sizes: team.Sizes, *, attacks: bool) -> dict[str, Any]:
    """Everything measured with one team; `attacks` adds the poisoned and the shuffled batch."""
    wheel, found = imported(root / "team", seed, sizes)
    started = time.monotonic()
    decision = wheel.cycle()
    seconds = time.monotonic() - started
    cycle = wheel.cycles()[0].id
    rows = list(wheel.store.versions.eval_rows(cycle))
    built = wheel.store.cycles.step(cycle, "build")[1]
    panels = wheel.status()["models"]["artifacts"]["panels"]
    result: dict[str, Any] = {
        "verdict": decision.verdict,
        "new": built["new"],
        "replay": built["replay"],
        "suite": next(row["items"] for row in panels if row["suite"] == "suite-erd"),
        "score_before": mean(rows, "artifacts@0", "erd", "score"),
        "score_after": mean(rows, "artifacts@1", "erd", "score"),
        "gain": decision.gain,
        "gain_low": decision.interval[0],
        "valid_before": mean(rows, "artifacts@0", "erd", "valid"),
        "valid_after": mean(rows, "artifacts@1", "erd", "valid"),
        "guard_drop": drop(rows, "artifacts@1"),
        "cycle_seconds": seconds,
        "rows": rows,
    }
    for task in GUARDS:
        result[f"{task}_valid_before"] = mean(rows, "artifacts@0", task, "valid")
        result[f"{task}_before"] = mean(rows, "artifacts@0", task, "score")
        result[f"{task}_after"] = mean(rows, "artifacts@1", task, "score")
    if attacks:
        wheel.import_file(team.poison(found, now=datetime.now(UTC), listen=quiet))
        result["poisoned"] = wheel.cycle().verdict
        other, _ = imported(root / "shuffled", seed, sizes, shuffled=True, answers=found.answers)
        result["shuffled"] = other.cycle().verdict
        other.close()
    result |= _without_replay(wheel, decision.verdict == "promote")
    wheel.close()
    return result


def _without_replay(wheel: Any, promoted: bool) -> dict[str, Any]:
    """The same good data against the base again, with nothing replayed."""
    if promoted:
        wheel.rollback()
    excluded = f'curate.exclude_sources=["{POISON_SOURCE}"]'
    with hw.open(
        wheel.config.root, set=["curate.replay_share=0", excluded], environment={}
    ) as bare:
        verdict = bare.cycle().verdict
        newest = bare.versions()[-1].name
        rows = list(bare.store.versions.eval_rows(bare.cycles()[0].id))
    return {"without_replay": verdict, "guard_drop_without_replay": drop(rows, newest)}


def equal_promoted_share(rows: list[EvalRow], policy: gate.Policy) -> tuple[float, float]:
    """Share of A/A gates that promote, and of gates with identical answers.

    Both sides of every simulated gate are drawn from one distribution: each group's answers come
    from the base or the tuned version by a fair coin, separately for champion and challenger, so
    neither is truly better.
    """
    random = np.random.default_rng(0)
    sides = [
        {(row.suite, row.item): row for row in rows if row.version == name}
        for name in ("artifacts@0", "artifacts@1")
    ]
    keys = sorted(sides[0])

    def drawn() -> list[EvalRow]:
        coins = random.integers(2, size=len(keys))
        return [sides[coin][key] for coin, key in zip(coins, keys, strict=True)]

    def promoted(ours: list[EvalRow], theirs: list[EvalRow], seed: int) -> bool:
        tasks = sorted({row.task for row in ours})
        panels = {
            task: Sides(
                challenger=[row for row in ours if row.task == task],
                champion=[row for row in theirs if row.task == task],
            )
            for task in tasks
        }
        evidence = measure(
            {"erd": panels["erd"]}, {}, trained=["erd"], policy=policy, seed=seed, resamples=500
        )
        return gate.decide(evidence, policy, challenger="b", champion="a").verdict == "promote"

    equal = sum(promoted(drawn(), drawn(), seed) for seed in range(SIMULATIONS))
    same = drawn()
    identical = sum(promoted(same, same, seed) for seed in range(100))
    return equal / SIMULATIONS, identical / 100


def summarise(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Worst seed and range of every figure."""

    def over(name: str, unit: str, worst: Any) -> Any:
        values = [float(row[name]) for row in found]
        return metric(worst(values), unit, min(values), max(values))

    share, identical = equal_promoted_share(found[0]["rows"], gate.Policy())
    return {
        "score_before": over("score_before", "points", max),
        "score_after": over("score_after", "points", min),
        "gain": over("gain", "points", min),
        "gain_low": over("gain_low", "points", min),
        "valid_before": over("valid_before", "%", max),
        "valid_after": over("valid_after", "%", min),
        "guard_drop": over("guard_drop", "points", max),
        "guard_drop_without_replay": over("guard_drop_without_replay", "points", min),
        **{
            f"{task}_{what}": over(f"{task}_{what}", "points", min)
            for task in GUARDS
            for what in ("valid_before", "before", "after")
        },
        "training_corrections": over("new", "rows", max),
        "suite_items": over("suite", "prompts", min),
        "cycle_seconds": over("cycle_seconds", "s", max),
        "equal_promoted_share": metric(share, "share"),
        "identical_promoted_share": metric(identical, "share"),
        "promoted": metric(sum(row["verdict"] == "promote" for row in found), "seeds"),
        "refused_without_replay": metric(
            sum(row["without_replay"] != "promote" for row in found), "seeds"
        ),
        "refused_shuffled": metric(sum(row.get("shuffled") == "reject" for row in found), "seeds"),
        "refused_poisoned": metric(sum(row.get("poisoned") == "reject" for row in found), "seeds"),
        "attacked": metric(sum("shuffled" in row for row in found), "seeds"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    notes = [
        "score = validity x F1 of facts as written, by the real checks; a simulated team's "
        "corrections; value is the worst seed",
    ]
    if trouble := results_file.busy():
        notes.append(f"cycle_seconds was taken on a busy machine ({trouble})")
    found = []
    for seed in SEEDS[:1] if quick else SEEDS:
        with tempfile.TemporaryDirectory(prefix="honewheel-bench-") as root:
            sizes = LITTLE if quick else team.FULL
            found.append(one_seed(Path(root), seed, sizes, attacks=seed == SEEDS[0]))
        shown = {key: value for key, value in found[-1].items() if key != "rows"}
        print(json.dumps({"seed": seed} | shown), file=sys.stderr, flush=True)
    metrics = summarise(found)
    print(json.dumps(metrics, indent=2))
    if not quick:
        print(results_file.write("demo", metrics, SEEDS, notes))


if __name__ == "__main__":
    main()
