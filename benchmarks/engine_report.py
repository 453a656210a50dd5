"""What the rounds of the engine benchmark say: ratios with their intervals, and notes."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import results_file
from results_file import metric

JOB = "job"  # the whole job in fresh processes
LARGE_JOB = "large_job"  # the same of 5,000 examples
WARM = "warm"  # a small training, libraries loaded by it or before
Row = dict[str, Any]


def report(rows: Sequence[Row], parts: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Every metric with its bootstrap interval over rounds, and what to know of them."""
    metrics: dict[str, Any] = {}
    notes = [
        "CPU seconds of Trainer.train() on one thread, medians of the rounds; a ratio is the "
        "quickest rival setting of any precision over ours at the precision that auto takes; _fp32 "
        "and _bf16 compare one precision; tokenising, loading and held-out losses are not in it, "
        "but for DPO the references and tokenising are, on both sides"
    ]
    for part in parts:
        sides = _by_side(rows, part)
        if any(map(is_ours, sides)):
            metrics |= _part(part, sides)
            notes.append(f"{part}: " + _described(rows, part, sides))
        else:
            notes.append(f"{part} was not measured")
    one = {row["side"]: row["loss"] for row in rows if row["part"] == "one_step"}
    apart = [abs(one["ours fp32"] - loss) for side, loss in one.items() if side != "ours fp32"]
    if apart:
        metrics["sft_onestep_loss_diff"] = metric(max(apart), "nats/token")
    pairs = _by_side(rows, "pair_losses")
    if pairs:
        mine, theirs = (np.array(pairs[side][0]["losses"]) for side in ("ours", "TRL"))
        metrics["dpo_pair_loss_diff"] = metric(float(abs(mine - theirs).max()), "nats")
    metrics |= _job(_by_side(rows, JOB))
    for side, found in _by_side(rows, WARM).items():
        name = f"{side.removeprefix('ours ')}_run_seconds"
        metrics[name] = metric(found[0]["train"], "CPU s")
    large = {side: found[0] for side, found in _by_side(rows, LARGE_JOB).items()}
    if len(large) == 2:
        metrics |= _large_job(large)
        notes.append(
            "large_job: 5,000 examples once, 28 million parameters, batches of 8, in a fresh "
            f"process a side, imports and saving included, one run each: ours "
            f"{large['ours']['train']:.0f} CPU s, TRL padding_free bf16 "
            f"{large['TRL']['train']:.0f}"
        )
    metrics |= results_file.repeated("engine_memory", "memory_estimate_worst_error")
    loads = [row["load"] for row in rows]
    cores = len(os.sched_getaffinity(0))
    if max(loads) > cores:
        notes.append(
            f"the machine was busy (load up to {max(loads):.1f} on {cores} cores): wall times mean "
            "nothing and are left out"
        )
    return metrics, notes


def _part(name: str, sides: dict[str, list[Row]]) -> dict[str, Any]:
    """Ratios of one part, each over the rounds that both sides have run."""
    found: dict[str, Any] = {}
    what, label = ("dpo", name.removeprefix("dpo_")) if name.startswith("dpo_") else ("sft", name)
    mine = [side for side in sides if is_ours(side)]
    usual = next((side for side in mine if sides[side][0]["usual"]), mine[0])
    wanted = [(usual, "", "")]
    wanted += [(side, side[-4:], f"_{side[-4:]}") for side in mine if len(mine) > 1]
    for side, kind, ending in wanted:
        theirs, ours = _both(sides[_quickest(sides, kind)], sides[side], "train")
        found[f"{what}_ratio_{label}{ending}"] = _ratio(theirs, ours)
    median = statistics.median(row["train"] for row in sides[usual])
    speed = sides[usual][0]["loss_tokens"] / median
    found[f"{what}_speed_{label}"] = metric(speed, "loss tokens/CPU s")
    if "ours fp32" in sides and label == "5m":
        theirs, ours = _both(sides[_quickest(sides, "fp32")], sides["ours fp32"], "loss")
        apart = ours - theirs
        unit = "nats/token" if what == "sft" else "nats"
        found[f"{what}_final_loss_diff"] = metric(
            float(apart.mean()), unit, float(apart.min()), float(apart.max())
        )
    return found


def _quickest(sides: dict[str, list[Row]], ending: str) -> str:
    """The rival setting with the lowest median."""
    rivals = [side for side in sides if not is_ours(side) and side.endswith(ending)]
    rivals = rivals or [side for side in sides if not is_ours(side)]
    return min(rivals, key=lambda side: statistics.median(row["train"] for row in sides[side]))


def _both(one: Sequence[Row], other: Sequence[Row], key: str) -> tuple[Any, Any]:
    """A figure of two sides in the rounds that both have."""
    left, right = ({row["round"]: row[key] for row in rows} for rows in (one, other))
    rounds = sorted(left.keys() & right.keys())
    return np.array([left[n] for n in rounds]), np.array([right[n] for n in rounds])


def _job(sides: dict[str, list[Row]]) -> dict[str, Any]:
    if not sides:
        return {}
    ours, theirs = (np.array([row["train"] for row in sides[one]]) for one in ("ours", "TRL"))
    return {
        "original_job_seconds": metric(
            float(np.median(ours)), "CPU s", float(ours.min()), float(ours.max())
        ),
        "original_job_ratio": _ratio(theirs, ours),
    }


def _large_job(sides: dict[str, Row]) -> dict[str, Any]:
    ours, theirs = (sides[one]["train"] for one in ("ours", "TRL"))
    return {
        "large_job_seconds": metric(ours, "CPU s"),
        "large_job_cpu_ratio": metric(theirs / ours, "x"),
    }


def _ratio(theirs: Any, ours: Any) -> Any:
    """Median over median, with its 95 % bootstrap interval over rounds."""
    draw = np.random.default_rng(0)
    count = len(ours)
    picks = draw.integers(count, size=(2000, count))
    drawn = np.median(theirs[picks], axis=1) / np.median(ours[picks], axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return metric(float(np.median(theirs) / np.median(ours)), "x", float(low), float(high))


def _by_side(rows: Sequence[Row], part: str) -> dict[str, list[Row]]:
    """Measured rows of a part by side, in the order of the rounds."""
    found: dict[str, list[Row]] = {}
    for row in sorted(
        (row for row in rows if row["part"] == part and row["round"] != "pilot"),
        key=lambda row: row["round"],
    ):
        found.setdefault(row["side"], []).append(row)
    return found


def _described(rows: Sequence[Row], part: str, sides: dict[str, list[Row]]) -> str:
    told = [
        f"{side} {statistics.median(row['train'] for row in found):.2f} s in "
        f"{found[0]['steps']} steps over {found[0]['loss_tokens']} loss tokens "
        f"({len(found)} rounds)"
        for side, found in sides.items()
    ]
    pilot = [row for row in rows if row["part"] == part and row["round"] == "pilot"]
    tried = ", ".join(f"{row['side']} {row['train']:.2f}" for row in pilot[1:])
    return "; ".join(told) + (f" (pilot on a few pairs: {tried})" if tried else "")


def is_ours(side: str) -> bool:
    return side.startswith("ours")
