"""Pictures of an ablation: what each technique is worth, and score over the number of examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from honewheel.evaluate.ablate import Effect
from honewheel.report import canvas

HELPS, HURTS, NOTHING = "#1b7837", "#b2182b", "#7f7f7f"
_COLOURS = {"helps": HELPS, "hurts": HURTS, "no measurable effect": NOTHING}


def effects(found: Sequence[Effect], path: Path) -> Path:
    """One row a technique: the difference in points with its 95 % interval. Writes a PNG."""
    title = "Held-out score with a technique minus without it (points, 95 % interval)"
    figure, axes = canvas.blank(title, 0.45 * len(found) + 0.3, left=0.22, right=0.95)
    canvas.name_rows(axes, [canvas.label(one.name) for one in found])
    for row, one in enumerate(found):
        colour = _COLOURS[one.answer]
        axes.plot([100 * one.low, 100 * one.high], [row, row], color=colour, linewidth=2.2)
        axes.plot([100 * one.difference], [row], "o", color=colour, markersize=6)
        told = f"{100 * one.difference:+.1f}  {one.answer}"
        axes.annotate(
            told,
            (100 * one.difference, row),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=colour,
        )
    axes.axvline(0, color=canvas.INK, linewidth=0.9)
    axes.set_xlabel("points", fontsize=9.5)
    figure.savefig(path, dpi=canvas.DPI)
    return path


def curve(
    name: str, lines: Sequence[tuple[str, Sequence[tuple[int, float, float, float]]]], path: Path
) -> Path:
    """Score over examples; each line holds (examples, mean, lowest, highest seed). Writes a PNG."""
    title = f"Held-out score over the number of new examples: {canvas.label(name)}"
    figure, axes = canvas.blank(title, 3.4, left=0.1, right=0.95, legend=1)
    for (label, points), colour in zip(lines, (HELPS, NOTHING), strict=False):
        across = [point[0] for point in points]
        axes.plot(across, [100 * point[1] for point in points], "o-", color=colour, label=label)
        axes.fill_between(
            across,
            [100 * point[2] for point in points],
            [100 * point[3] for point in points],
            color=colour,
            alpha=0.18,
            linewidth=0,
        )
    axes.set_xlabel("new training examples", fontsize=9.5)
    axes.set_ylabel("score, points (band: lowest to highest seed)", fontsize=9.5)
    axes.grid(True, color=canvas.RULE, linewidth=0.6)
    canvas.legend_above(axes, 2)
    figure.savefig(path, dpi=canvas.DPI)
    return path
