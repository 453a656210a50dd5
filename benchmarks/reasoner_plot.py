"""The reasoner benchmark in one picture: learning, a new rule beside the old, difficulty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = Mapping[str, Any]
PATH = Path(__file__).parents[1] / "docs" / "images" / "reasoner.png"
COLOURS = {"sudoku4": "#1b6ca8", "bva": "#2a9d5c", "sudoku6": "#c0582b"}
NAMES = {"sudoku4": "4x4 sudoku", "bva": "boundary tables", "sudoku6": "6x6 sudoku"}
ARMS = {
    "corrected": "corrections",
    "no-replay": "no replay",
    "task-only": "net frozen",
    "shuffled": "shuffled",
    "old-only": "old only",
}


def draw(rows: Sequence[Row]) -> Path:
    """Four panels of what was measured; returns the path of the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    (losses, exact), (rules, bands) = figure.subplots(2, 2)
    _losses(losses, rows)
    _exact(exact, rows)
    _rules(rules, [row for row in rows if row["part"] == "feedback"])
    _bands(bands, rows)
    for axes in (losses, exact, rules, bands):
        axes.spines[["top", "right"]].set_visible(False)
    PATH.parent.mkdir(exist_ok=True)
    figure.savefig(PATH, dpi=130)
    return PATH


def _losses(axes: Any, rows: Sequence[Row]) -> None:
    for row in rows:
        if row["part"] in COLOURS:
            steps, values = np.array(row["losses"]).T
            window = max(1, len(values) // 40)
            smooth = np.convolve(values, np.ones(window) / window, mode="valid")
            label = NAMES[row["part"]] if row["seed"] == 0 else None
            axes.plot(steps[window - 1 :], smooth, color=COLOURS[row["part"]], lw=1, label=label)
    axes.set(yscale="log", xlabel="update", ylabel="loss, nats a cell", title="Training loss")
    axes.legend(frameon=False, fontsize=8)


def _exact(axes: Any, rows: Sequence[Row]) -> None:
    for row in rows:
        if row["part"] in COLOURS:
            steps = [step for step, _ in row["val_exact"]]
            shares = [100 * next(iter(told.values())) for _, told in row["val_exact"]]
            axes.plot(steps, shares, color=COLOURS[row["part"]], lw=1, marker=".", ms=4)
    axes.set(xlabel="update", ylabel="exact, %", title="Validation puzzles solved", ylim=(0, 102))


def _rules(axes: Any, rows: Sequence[Row]) -> None:
    """Bars: the new and the old rule before and after, by what was learnt from."""
    arms = [arm for arm in ARMS if any(row["arm"] == arm for row in rows)]
    for place, arm in enumerate(arms):
        found = [row for row in rows if row["arm"] == arm]
        for shift, (when, task, colour) in enumerate(
            (
                ("before", "latin", "#b9cfe0"),
                ("after", "latin", "#1b6ca8"),
                ("before", "sudoku", "#e5cdbf"),
                ("after", "sudoku", "#c0582b"),
            )
        ):
            shares = [100 * row[when][task]["value"] for row in found]
            label = f"{'new' if task == 'latin' else 'old'} rule, {when}" if not place else None
            at = place + 0.2 * (shift - 1.5)
            axes.bar(at, np.mean(shares), 0.18, color=colour, label=label)
            axes.plot([at] * len(shares), shares, "k.", ms=3)
    axes.set_xticks(range(len(arms)), [ARMS[arm] for arm in arms])
    axes.set_yticks(range(0, 101, 20))
    axes.set(ylabel="exact, %", title="A new rule from feedback (dots: seeds)", ylim=(0, 125))
    if arms:
        axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper center")


def _bands(axes: Any, rows: Sequence[Row]) -> None:
    parts = [part for part in COLOURS if any(r["part"] == part and r["levels"] for r in rows)]
    order = ("easy", "medium", "hard")
    for place, part in enumerate(parts):
        found = [row for row in rows if row["part"] == part]
        known = [level for level in order if level in found[0]["levels"]]
        for shift, level in enumerate(known):
            shares = [100 * row["levels"][level][0] for row in found]
            at = place + 0.25 * (shift - (len(known) - 1) / 2)
            axes.bar(at, np.mean(shares), 0.22, color=COLOURS[part], alpha=1 - 0.3 * shift)
            axes.text(at, 3, level, rotation=90, ha="center", fontsize=7, color="white")
            axes.plot([at] * len(shares), shares, "k.", ms=3)
    axes.set_xticks(range(len(parts)), [NAMES[part] for part in parts])
    axes.set(ylabel="exact, %", title="Held-out puzzles by difficulty", ylim=(0, 102))
