"""A task over time as one picture: scores above, what an answer takes below."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from honewheel.errors import NotEnoughData
from honewheel.report.canvas import DPI, INK, QUIET, RULE, blank, label, legend_above
from honewheel.report.numbers import count, points, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from honewheel.loop.trend import Point, Trend

# Okabe and Ito's colours (distinct to colour-blind readers), doubled by marker and dashes.
_LINES = (
    ("score", "score", "#0072b2", "o", "-"),
    ("newest", "score on what was asked last", "#56b4e9", "v", "--"),
    ("success", "answers at 70 points or more", "#009e73", "s", "--"),
    ("valid", "valid answers", "#e69f00", "^", ":"),
    ("accepted", "accepted by users since the cycle before", "#cc79a7", "D", "-."),
)


def draw(trend: Trend) -> bytes:
    """The picture as PNG bytes, 1,600 pixels wide.

    Raises:
        NotEnoughData: the task was measured in no cycle.
        MissingExtra: matplotlib is not installed.
    """
    if not trend.points:
        raise NotEnoughData(
            f"No finished cycle has measured {trend.task}, so there is nothing to draw. "
            "Run: honewheel cycle"
        )
    png = io.BytesIO()
    figure(trend)[1].savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    return png.getvalue()


def figure(trend: Trend) -> tuple[str, Figure]:
    """Title (the finding in words) and figure; below the scores, what an answer took.

    In seconds, or in tokens where no time was measured.
    """
    found = trend.points
    title = _title(trend)
    costs = any(point.tokens is not None for point in found)
    named = sum(any(getattr(p, line[0]) is not None for p in found) for line in _LINES)
    height, rows = 4.6 if costs else 3.2, (named + 1) // 2
    drawing, axes = blank(title, height, left=0.1, right=0.96, legend=rows)
    if costs:
        box = axes.get_position()
        height = 0.24 * box.height
        axes.set_position((box.x0, box.y0 + 1.5 * height, box.width, box.height - 1.5 * height))
        below = drawing.add_axes((box.x0, box.y0, box.width, height), sharex=axes)
        _costs(below, found)
    _scores(axes, found)
    last = below if costs else axes
    models = sorted({point.version.rpartition("@")[0] for point in found})
    short = len(models) == 1  # "@3" leaves room for many
    names = [f"@{p.version.rpartition('@')[2]}" if short else p.version for p in found]
    last.set_xticks(range(len(found)), [label(name) for name in names])
    crowded = len(found) > (20 if short else 6)
    last.tick_params(axis="x", rotation=90 if crowded else 0, labelsize=7 if crowded else 9.5)
    axes.tick_params(labelbottom=not costs)
    whose = f"version of {label(models[0])}" if short else "version"
    last.set_xlabel(f"{whose} that each cycle made; a ring marks those that were promoted")
    return title, drawing


def _title(trend: Trend) -> str:
    first, last = trend.points[0], trend.points[-1]
    if len(trend.points) == 1:
        return f"{label(trend.task)}: {points(last.score)} points in its only cycle"
    return (
        f"{label(trend.task)}: {points(first.score)} to {points(last.score)} points "
        f"({signed(last.score - first.score)}) over {count(len(trend.points))} cycles"
    )


def _scores(axes: Axes, found: Sequence[Point]) -> None:
    for name, words, color, marker, dashes in _LINES:
        known = [(place, getattr(point, name)) for place, point in enumerate(found)]
        known = [(place, value) for place, value in known if value is not None]
        if known:
            axes.plot(
                [place for place, _ in known],
                [100 * value for _, value in known],
                dashes,
                marker=marker,
                color=color,
                linewidth=1.8,
                markersize=5.5,
                label=words,
            )
    promoted = [place for place, point in enumerate(found) if point.verdict == "promote"]
    axes.scatter(
        promoted,
        [100 * found[place].score for place in promoted],
        s=150,
        facecolors="none",
        edgecolors=INK,
        linewidths=1.2,
    )
    axes.set_ylim(-3, 103)
    axes.grid(True, axis="y", color=RULE, linewidth=0.6)
    axes.set_ylabel("points")
    legend_above(axes, 2)


def _costs(axes: Axes, found: Sequence[Point]) -> None:
    what = "seconds" if any(point.seconds is not None for point in found) else "tokens"
    known = [(n, getattr(point, what)) for n, point in enumerate(found)]
    known = [(place, cost) for place, cost in known if cost is not None]
    axes.bar([place for place, _ in known], [cost for _, cost in known], 0.5, color="#999999")
    axes.tick_params(labelsize=9.5, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(QUIET)
    axes.set_ylabel(what)
