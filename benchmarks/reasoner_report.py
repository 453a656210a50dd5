"""What the runs of the reasoner benchmark say: the worst of the seeds, with notes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from results_file import metric

from honewheel.evaluate.metrics import wilson
from honewheel.families.reasoner import base
from honewheel.families.reasoner.shape import grown

Row = Mapping[str, Any]
ORIGINAL_SECONDS = 6.19  # what the first system reports for its job


def report(rows: Sequence[Row]) -> tuple[dict[str, Any], list[str]]:
    """Every metric, and what to know of them."""
    metrics: dict[str, Any] = {
        "params_hrm27m": metric(_published("hrm27m"), "weights"),
        "params_trm7m": metric(_published("trm7m"), "weights"),
    }
    notes = [
        "exact match of the worst seed, with its Wilson interval (95 %), on puzzles of whose orbit "
        "(symmetric forms) none was trained on; seconds: CPU of one thread, training with its "
        "validations, the most of the seeds",
    ]
    for part, task in (("sudoku4", "sudoku"), ("bva", "bva"), ("sudoku6", "sudoku")):
        found = [row for row in rows if row["part"] == part]
        if not found:
            notes.append(f"{part} was not measured")
            continue
        worst = min(found, key=lambda row: row["after"][task]["value"])
        metrics[f"{part}_exact"] = _share(worst["after"][task])
        metrics[f"{part}_valid"] = metric(min(r["after"][task]["valid"] for r in found), "share")
        metrics[f"{part}_seconds"] = metric(max(r["seconds"]["cpu"] for r in found), "CPU s")
        notes.append(_described(part, task, found))
    metrics |= _nine([row for row in rows if row["part"] == "sudoku9"], notes)
    metrics |= _feedback([row for row in rows if row["part"] == "feedback"], notes)
    metrics |= _original([row for row in rows if row["part"] == "original"], notes)
    load, cores = max((row["load"] for row in rows), default=0.0), len(os.sched_getaffinity(0))
    if load > cores:
        notes.append(
            f"the machine was busy (load up to {load:.1f} on {cores} cores), so wall times are not "
            "reported"
        )
    if any(row["resumed"] for row in rows):
        names = ", ".join(row["job"] for row in rows if row["resumed"])
        notes.append(f"killed and resumed, so their seconds are those of the last piece: {names}")
    return metrics, notes


def _described(part: str, task: str, found: Sequence[Row]) -> str:
    shares = ", ".join(f"{row['after'][task]['value']:.1%}" for row in found)
    one = found[0]
    text = (
        f"{part}: {one['parameters']:,} weights, {one['cells']} cells; by seed {shares}; trivial "
        f"baseline {one['baseline'][task]:.1%}, chance {one['chance'][task]:.1g}"
    )
    worst = min(found, key=lambda row: row["after"][task]["value"])
    if worst["levels"]:
        bands = ", ".join(f"{k} {v[0]:.1%} of {v[1]}" for k, v in sorted(worst["levels"].items()))
        text += f"; by level (worst seed) {bands}"
    if "by_segments" in worst:
        told = ", ".join(f"{count}: {share:.1%}" for count, share in worst["by_segments"].items())
        text += f"; by segments (worst seed) {told}"
    return text


def _nine(rows: Sequence[Row], notes: list[str]) -> dict[str, Any]:
    """9x9 by kind of model, at an equal number of operations."""
    if not rows:
        notes.append("9x9 sudoku was not measured")
        return {}
    found = {}
    for row in rows:
        found[f"sudoku9_{row['arm']}_exact"] = _share(row["after"]["sudoku"])
        found[f"sudoku9_{row['arm']}_seconds"] = metric(row["seconds"]["cpu"], "CPU s")
        each = row["seconds"]["cpu"] / len(row["losses"])
        shares = [(step, next(iter(told.values()))) for step, told in row["val_exact"]]
        course = ", ".join(f"{step * each:.0f} s {share:.0%}" for step, share in shares)
        notes.append(
            f"9x9 sudoku, {row['arm']}, {row['parameters']:,} weights: exact match on 50 "
            f"validation puzzles over CPU seconds: {course}; by level {row['levels']}. The "
            "published 55 % (HRM) and 74.7-87.4 % (TRM) are of Sudoku-Extreme, harder puzzles, "
            "models of 27 and 7 million weights and hours on GPUs"
        )
    return found


def _feedback(rows: Sequence[Row], notes: list[str]) -> dict[str, Any]:
    """The new rule before and after, the old rule's loss, and what controls gain."""
    by_arm: dict[str, list[Row]] = {}
    for row in rows:
        by_arm.setdefault(row["arm"], []).append(row)
    corrected = by_arm.get("corrected", [])
    if not corrected:
        notes.append("the feedback cycle was not measured")
        return {}
    worst = min(corrected, key=lambda row: row["after"]["latin"]["value"])
    found = {
        "new_rule_exact_before": _share(
            max((row["before"]["latin"] for row in corrected), key=lambda one: one["value"])
        ),
        "new_rule_exact_after": _share(worst["after"]["latin"]),
        "old_rule_drop_points": metric(max(map(_drop, corrected)), "points"),
        "feedback_cycle_seconds": metric(max(r["seconds"]["cpu"] for r in corrected), "CPU s"),
        "feedback_mcnemar_p": metric(
            max(row["verdict"]["mcnemar"]["latin"]["p"] for row in corrected), "p"
        ),
    }
    for arm, some in sorted(by_arm.items()):
        gains = [
            100 * (row["after"]["latin"]["value"] - row["before"]["latin"]["value"]) for row in some
        ]
        verdicts = ", ".join(row["verdict"]["verdict"] for row in some)
        drops = ", ".join(f"{_drop(row):.1f}" for row in some)
        ps = ", ".join(f"{row['verdict']['mcnemar']['latin']['p']:.2g}" for row in some)
        notes.append(
            f"feedback, {arm}: new rule "
            + ", ".join(f"{gain:+.1f}" for gain in gains)
            + f" points by seed (McNemar p {ps}), old rule loses {drops}; the gate says {verdicts}"
        )
        name = arm.replace("-", "_")
        if arm in ("shuffled", "old-only"):
            found[f"control_{name}_gain_points"] = metric(max(gains), "points")
        elif arm != "corrected":
            found[f"{name}_gain_points"] = metric(min(gains), "points")
            found[f"{name}_old_rule_drop_points"] = metric(max(map(_drop, some)), "points")
    promoted = sum(row["verdict"]["verdict"] == "promote" for row in corrected)
    found["feedback_promoted"] = metric(promoted, f"of {len(corrected)} seeds")
    return found


def _original(rows: Sequence[Row], notes: list[str]) -> dict[str, Any]:
    if not rows:
        notes.append("the original job was not measured")
        return {}
    (row,) = rows
    told = row["verdict"]["mcnemar"]["bva"]["told"]
    notes.append(
        f"original job: {row['parameters']:,} weights, 54 rows of {row['cells']} cells, batch 8, 3 "
        f"epochs (21 updates, one segment each); {ORIGINAL_SECONDS} s are reported for the "
        f"original, at lengths that it does not tell; on held-out tables: {told}"
    )
    return {"original_job_seconds": metric(row["seconds"]["cpu"], "CPU s")}


def _drop(row: Row) -> float:
    return 100 * float(row["before"]["sudoku"]["value"] - row["after"]["sudoku"]["value"])


def _share(told: Mapping[str, Any]) -> Any:
    low, high = wilson(round(told["value"] * told["items"]), told["items"])
    return metric(told["value"], "share", low, high)


def _published(name: str) -> int:
    """Weights of a preset at the vocabulary of sudoku, without task embeddings."""
    shape = base.shape(base.locate(f"honewheel/reasoner-{name}"))
    return grown(shape, vocabulary=11, length=81, relations=0, tasks=1).weights
