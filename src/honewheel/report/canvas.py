"""What every picture of a report shares: size, title, colours, rows, and names made drawable.

Figures are built as objects (no pyplot), so that threads and callers' own plots never meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from honewheel.errors import MissingExtra
from honewheel.report.inert import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_PIXELS = 1600
DPI = 200
INK, QUIET, RULE = "#222222", "#666666", "#d0d0d0"
_LABEL_LENGTH = 26


def require_matplotlib() -> None:
    """Raises MissingExtra: matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise MissingExtra("A plot", "matplotlib", "train")


def blank(
    title: str, body: float, *, left: float, right: float, legend: int = 0
) -> tuple[Figure, Axes]:
    """A figure with its title and room for `legend` lines above axes that are `body` inches high.

    `left` and `right` are where the axes begin and end, as shares of the width.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    below, above = 0.7, 0.5 + 0.22 * legend
    height = below + body + above
    figure = Figure(figsize=(WIDTH_PIXELS / DPI, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((left, below / height, right - left, body / height))
    axes.tick_params(labelsize=9.5, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(QUIET)
    figure.text(0.02, 1 - 0.12 / height, title, fontsize=11.5, weight="bold", color=INK, va="top")
    return figure, axes


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """One labelled row a name, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.grid(True, axis="x", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)


def legend_above(axes: Axes, columns: int) -> None:
    """The legend of `axes`, growing upwards into the room that `blank` left for it."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=9,
        borderaxespad=0,
        labelspacing=0.35,
    )


def label(text: str) -> str:
    """`text` short, visible, in glyphs the font has, and never read as mathematics."""
    line = " ".join(clean(text).split())
    if len(line) > _LABEL_LENGTH:
        line = f"{line[: _LABEL_LENGTH - 1]}…"
    drawn = "".join(char if ord(char) in _glyphs() else "?" for char in line)
    return drawn.replace("$", r"\$")


@cache
def _glyphs() -> frozenset[int]:
    """Code points of the default font: a missing one would be a warning and an empty box."""
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(findfont(FontProperties())).get_charmap())
