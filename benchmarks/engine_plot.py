"""The engine benchmark in one picture: how many times our CPU seconds the quickest rival takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[1] / "docs" / "images" / "engine.png"
ROWS = {
    "sft_ratio_5m": "5M, 54 pairs",
    "sft_ratio_5m_fp32": "5M, both in float32",
    "sft_ratio_5m_bf16": "5M, both in bfloat16",
    "sft_ratio_5m_500": "5M, 500 pairs",
    "sft_ratio_5m_32k": "5M, 32k words",
    "sft_ratio_25m": "25M",
    "sft_ratio_25m_32k": "25M, 32k words",
    "sft_ratio_100m": "100M",
    "original_job_ratio": "28M, a whole process, 54 x 3",
    "large_job_cpu_ratio": "28M, a whole process, 5,000",
    "dpo_ratio_5m": "5M, DPO, 48 pairs",
    "cycle_cpu_ratio_vs_soup": "a whole cycle, soup-cli",
}


def draw(metrics: Mapping[str, Any]) -> Path:
    """Ratios with the least and the most of the rounds; returns the path of the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [(label, metrics[name]) for name, label in ROWS.items() if name in metrics]
    figure = Figure(figsize=(8, 0.38 * len(shown) + 1.1), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, (label, one) in enumerate(shown):
        value = one["value"]
        low, high = one["low"] or value, one["high"] or value
        colour = "#c0582b" if "soup" in label else "#2a9d5c" if "DPO" in label else "#1b6ca8"
        axes.barh(place, value, height=0.6, color=colour, alpha=0.85)
        axes.plot([low, high], [place, place], color="black", lw=1.2)
        axes.text(high + 0.05, place, f"{value:.2f}x", va="center", fontsize=9)
    axes.axvline(1, color="black", lw=0.8, ls=":")
    axes.set_yticks(range(len(shown)), [label for label, _ in shown], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("CPU seconds of the quickest rival setting over ours, one thread")
    axes.spines[["top", "right"]].set_visible(False)
    PATH.parent.mkdir(exist_ok=True)
    figure.savefig(PATH, dpi=130)
    return PATH
