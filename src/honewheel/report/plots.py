"""The pictures of a report, as PNG bytes: 8 inches wide, 1,600 pixels, titles that say the finding.

Colours are Okabe and Ito's (distinct to colour-blind readers), doubled by marker or hatching.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from honewheel.report.canvas import (
    DPI,
    INK,
    QUIET,
    RULE,
    blank,
    label,
    legend_above,
    name_rows,
    require_matplotlib,
)
from honewheel.report.collect import Build, CycleReport, Line, Training
from honewheel.report.numbers import count, interval, points, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BASE, _CHAMPION, _CHALLENGER = "#999999", "#0072b2", "#e69f00"
_STATE = {
    "better": ("#009e73", "^"),
    "not worse": ("#0072b2", "o"),
    "unclear": ("#8a6d00", "D"),
    "worse": ("#d55e00", "v"),
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture: a file name without ending, the finding in words, and PNG bytes."""

    name: str
    title: str
    png: bytes


def draw(report: CycleReport) -> tuple[Plot, ...]:
    """The plots that this report has numbers for, in reading order.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    require_matplotlib()  # names are measured by its fonts before the first figure
    drawn: list[Plot] = []
    if report.lines:
        drawn += [_plot("differences", differences, report.lines)]
        drawn += [_plot("scores", scores, report.lines)]
    if report.changes.scores:
        drawn.append(_plot("items", items, report.changes.scores))
    if report.training is not None and report.training.history:
        drawn.append(_plot("loss", loss, report.training))
    if report.build is not None:
        drawn.append(_plot("feedback", feedback, report.build))
    return tuple(drawn)


def _plot(name: str, drawing: Callable[[Any], tuple[str, Figure]], data: object) -> Plot:
    title, figure = drawing(data)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    return Plot(name, title, png.getvalue())


def differences(lines: Sequence[Line]) -> tuple[str, Figure]:
    """Forest plot: challenger minus champion with its 95 % interval, a row per line."""
    title = _differences_title(lines)
    figure, axes = blank(title, 0.3 + 0.5 * len(lines), left=0.255, right=0.725)
    axes.axvline(0, color=INK, linewidth=1)
    for row, line in enumerate(lines):
        compared = line.comparison
        color, marker = _STATE[line.state]
        low, middle, high = (
            100 * value for value in (compared.low, compared.difference, compared.high)
        )
        axes.plot([low, high], [row, row], color=color, linewidth=2.2, solid_capstyle="butt")
        axes.plot([middle], [row], marker, color=color, markersize=8)
        if line.margin is not None:
            edge = -100 * line.margin
            axes.plot([edge, edge], [row - 0.36, row + 0.36], color="#b3261e", linewidth=1.6)
        words = f"{signed(compared.difference)}  {interval(compared.low, compared.high)}"
        axes.annotate(
            f"{words}\n{line.state}",
            (1.02, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
            color=INK,
            linespacing=1.25,
        )
    name_rows(axes, [_name(line) for line in lines])
    axes.set_xlabel(
        "challenger minus champion, points, with 95 % interval\n"
        "black line: no difference · red tick: a guard's margin"
    )
    return title, figure


def _differences_title(lines: Sequence[Line]) -> str:
    first = lines[0].comparison
    guards = [line for line in lines if line.kind == "guard"]
    held = sum(line.state in ("better", "not worse") for line in guards)
    tail = f"; {held} of {len(guards)} guards held" if guards else ""
    gained = f"{signed(first.difference)} points {interval(first.low, first.high)}"
    return f"{label(first.name)}: {gained}{tail}"


def scores(lines: Sequence[Line]) -> tuple[str, Figure]:
    """Bars of base, champion and challenger in points, a group per line."""
    shown = [line.comparison for line in lines]
    first = shown[0]
    title = (
        f"{label(first.name)}: {points(first.champion)} before, "
        f"{points(first.challenger)} after, on {count(first.items)} held-out prompts"
    )
    figure, axes = blank(title, 0.2 + 0.8 * len(lines), left=0.255, right=0.95, legend=1)
    bars: list[tuple[str, str, str, float, list[float | None]]] = [
        ("base, untuned", _BASE, "", -0.27, [compared.base for compared in shown]),
        ("champion", _CHAMPION, "//", 0.0, [compared.champion for compared in shown]),
        ("challenger", _CHALLENGER, "", 0.27, [compared.challenger for compared in shown]),
    ]
    for who, color, hatch, offset, values in bars:
        known = [(row + offset, value) for row, value in enumerate(values) if value is not None]
        axes.barh(
            [place for place, _ in known],
            [100 * value for _, value in known],
            0.25,
            color=color,
            hatch=hatch,
            edgecolor="white",
            lw=0,
            label=who,
        )
        for place, value in known:
            axes.text(100 * value + 0.8, place, points(value), va="center", fontsize=8.5)
    name_rows(axes, [_name(line) for line in lines])
    axes.set_xlim(0, 108)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("mean over held-out prompts, points (0 to 100)")
    legend_above(axes, 3)
    return title, figure


def items(pairs: Sequence[tuple[float, float]]) -> tuple[str, Figure]:
    """Scatter of champion against challenger score, an item a dot; dots grow where items meet."""
    better = sum(after > before for before, after in pairs)
    worse = sum(after < before for before, after in pairs)
    title = (
        f"Better on {count(better)} of {count(len(pairs))} prompts, worse on {count(worse)}, "
        f"equal on {count(len(pairs) - better - worse)}"
    )
    figure, axes = blank(title, 4.6, left=0.11, right=0.7)
    axes.plot([0, 100], [0, 100], color=INK, linewidth=1, zorder=1)
    kinds = (
        ("better", "better", [pair for pair in pairs if pair[1] > pair[0]]),
        ("equal", "not worse", [pair for pair in pairs if pair[1] == pair[0]]),
        ("worse", "worse", [pair for pair in pairs if pair[1] < pair[0]]),
    )
    for kind, state, found in kinds:
        color, marker = _STATE[state]
        places = _stacked(found)
        axes.scatter(
            [100 * before for before, _ in places],
            [100 * after for _, after in places],
            s=[26 * n**0.5 for n in places.values()],
            c=color,
            marker=marker,
            alpha=0.7,
            linewidths=0,
            label=f"{kind} ({count(len(found))})",
            zorder=2,
        )
    for set_limits in (axes.set_xlim, axes.set_ylim):
        set_limits(-4, 104)
    axes.grid(True, color=RULE, linewidth=0.6)
    axes.set_xlabel("champion's score, points")
    axes.set_ylabel("challenger's score, points")
    handles = axes.legend(
        loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, title="challenger is"
    ).legend_handles
    for handle in handles:
        handle.set_sizes([40])  # type: ignore[union-attr]  # scatter handles are collections
    axes.annotate(
        "above the line:\nchallenger scored higher\n\nlarger mark: more prompts\nwith these scores",
        (1.04, 0.62),
        xycoords="axes fraction",
        va="top",
        fontsize=9,
        color=QUIET,
    )
    return title, figure


def _stacked(pairs: Sequence[tuple[float, float]]) -> dict[tuple[float, float], int]:
    """Place (to a hundredth of the scale) -> how many items share it."""
    found: dict[tuple[float, float], int] = {}
    for before, after in pairs:
        place = (round(before, 2), round(after, 2))
        found[place] = found.get(place, 0) + 1
    return found


def loss(training: Training) -> tuple[str, Figure]:
    """Training and validation loss over steps."""
    history = training.history
    title = _loss_title(training)
    figure, axes = blank(title, 2.9, left=0.1, right=0.95, legend=1)
    axes.plot(
        *_series([(row.step, row.loss) for row in history]),
        color=_CHAMPION,
        linewidth=1.4,
        label="training",
    )
    axes.plot(
        *_series([(row.step, row.val_loss) for row in history]),
        "o-",
        color=_CHALLENGER,
        markersize=5,
        linewidth=1.8,
        label="validation",
    )
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(True, color=RULE, linewidth=0.6)
    axes.set_xlabel("training step")
    axes.set_ylabel(training.loss_axis)
    legend_above(axes, 2)
    return title, figure


def _loss_title(training: Training) -> str:
    best = training.best_val
    if best is None or best.val_loss is None:
        return f"Training loss over {count(training.steps)} steps (no validation was measured)"
    first = next(row.val_loss for row in training.history if row.val_loss is not None)
    return (
        f"Validation loss from {first:.2f} to its lowest, {best.val_loss:.2f}, "
        f"at step {count(best.step)} of {count(training.steps)}"
    )


def _series(points_: Sequence[tuple[int, float | None]]) -> tuple[list[int], list[float]]:
    known = [(step, value) for step, value in points_ if value is not None]
    return [step for step, _ in known], [value for _, value in known]


def feedback(build: Build) -> tuple[str, Figure]:
    """One stacked bar: examples by part, then events left out by reason."""
    left_out = sum(drop.count for drop in build.dropped)
    title = (
        f"{count(build.events)} events gave {count(build.new + build.val)} examples, "
        f"{count(left_out)} were left out, {count(build.replay)} replayed"
    )
    kept = [
        ("new, to train on", build.new, "#009e73", ""),
        ("new, to validate", build.val, "#56b4e9", ""),
        ("replayed", build.replay, "#0072b2", "//"),
    ]
    shades = ("#7a7a7a", "#a3a3a3", "#5c5c5c", "#c4c4c4", "#8e8e8e", "#b4b4b4")
    gone = [
        (f"left out: {label(drop.reason)}", drop.count, shades[index % len(shades)], "xx")
        for index, drop in enumerate(build.dropped)
    ]
    segments = [segment for segment in kept + gone if segment[1]]
    lines = (len(segments) + 1) // 2
    figure, axes = blank(title, 1.0, left=0.03, right=0.97, legend=lines)
    start = 0
    for words, size, color, hatch in segments:
        axes.barh(
            [0],
            [size],
            left=[start],
            color=color,
            hatch=hatch,
            edgecolor="white",
            lw=0.8,
            label=f"{words}: {count(size)}",
        )
        start += size
    axes.set_yticks([])
    axes.set_xlim(0, max(start, 1))
    axes.set_xlabel("number of events and examples")
    legend_above(axes, 2)
    return title, figure


def _name(line: Line) -> str:
    name = label(line.comparison.name)
    return f"{name}\n{line.kind}, {count(line.comparison.items)} items"
