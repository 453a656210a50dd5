from __future__ import annotations

import io
import re
import struct
import sys
from dataclasses import replace

import pytest
from report_samples import comparison, reported

from honewheel.errors import MissingExtra
from honewheel.report import canvas
from honewheel.report.canvas import WIDTH_PIXELS
from honewheel.report.collect import CycleReport, Line, Training
from honewheel.report.plots import (
    Plot,
    differences,
    draw,
    feedback,
    items,
    loss,
    scores,
)


@pytest.fixture(scope="module")
def drawn() -> dict[str, Plot]:
    return {plot.name: plot for plot in draw(reported())}


def _size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_every_plot_is_1600_pixels_wide_and_has_ink(drawn: dict[str, Plot]) -> None:
    import numpy as np
    from matplotlib.image import imread

    assert list(drawn) == ["differences", "scores", "items", "loss", "feedback"]
    for plot in drawn.values():
        width, height = _size(plot.png)
        assert width == WIDTH_PIXELS
        assert 300 < height < 1600
        pixels = imread(io.BytesIO(plot.png), format="png")[..., :3]
        share = float(np.mean(np.any(pixels < 0.9, axis=-1)))
        assert 0.01 < share < 0.6, plot.name
        for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
            assert np.all(edge == 1), f"{plot.name} is cut at an edge"


def test_titles_say_the_finding(drawn: dict[str, Plot]) -> None:
    changes = reported().changes
    assert drawn["differences"].title == ("erd: +42.7 points [+36.2, +49.1]; 2 of 4 guards held")
    assert drawn["scores"].title == "erd: 41.2 before, 83.9 after, on 174 held-out prompts"
    assert drawn["items"].title == (
        f"Better on {changes.better} of 80 prompts, worse on {changes.worse}, "
        f"equal on {len(changes.scores) - changes.better - changes.worse}"
    )
    assert drawn["loss"].title == (
        "Validation loss from 1.06 to its lowest, 0.51, at step 300 of 300"
    )
    assert drawn["feedback"].title == (
        "1,412 events gave 240 examples, 147 were left out, 80 replayed"
    )


def _texts(figure: object) -> list[str]:
    from matplotlib.text import Text

    return [found.get_text() for found in figure.findobj(Text) if found.get_text()]  # type: ignore[attr-defined]


def _line(name: str, **more: object) -> Line:
    return Line(kind="guard", comparison=comparison(name, 0.5, 0.48, 0.02), state="unclear", **more)


def test_the_forest_shows_difference_interval_zero_and_margin() -> None:
    _, figure = differences([_line("ddl", margin=0.03)])
    (axes,) = figure.axes
    spans = [(min(line.get_xdata()), max(line.get_xdata())) for line in axes.lines]
    assert [(round(low, 6), round(high, 6)) for low, high in spans] == [
        (0, 0),
        (-4.0, 0.0),
        (-2.0, -2.0),
        (-3.0, -3.0),
    ]
    assert any("-2.0  [-4.0, 0.0]\nunclear" in text for text in _texts(figure))


def test_a_line_without_a_margin_has_no_margin_tick() -> None:
    _, figure = differences([_line("ddl")])
    assert len(figure.axes[0].lines) == 3


def test_bars_are_the_scores_and_an_unmeasured_base_has_none() -> None:
    known = _line("ddl")
    unknown = replace(known, comparison=replace(known.comparison, base=None))
    _, figure = scores([known, unknown])
    widths = [bar.get_width() for container in figure.axes[0].containers for bar in container]
    assert widths == pytest.approx([49.0, 50.0, 50.0, 48.0, 48.0])


def test_items_that_share_scores_become_one_larger_mark() -> None:
    _, figure = items([(0.5, 0.9)] * 9 + [(0.4, 0.1), (1.0, 1.0)])
    better, equal, worse = figure.axes[0].collections
    assert better.get_sizes()[0] == pytest.approx(3 * worse.get_sizes()[0])
    assert [tuple(place) for place in worse.get_offsets()] == [(40.0, 10.0)]
    assert [tuple(place) for place in equal.get_offsets()] == [(100.0, 100.0)]


def test_a_run_without_validation_says_so() -> None:
    training = reported().training
    assert isinstance(training, Training)
    blind = replace(
        training, history=tuple(replace(row, val_loss=None) for row in training.history)
    )
    title, figure = loss(blind)
    assert title == "Training loss over 300 steps (no validation was measured)"
    assert len(figure.axes[0].lines[1].get_xdata()) == 0


def test_the_loss_axis_says_of_what_the_loss_is() -> None:
    training = reported().training
    assert isinstance(training, Training)
    assert training.loss_axis == "loss, nats per token"
    other = replace(training, settings={**training.settings, "objective": "dpo"})
    assert other.loss_axis == "loss (dpo)"
    _, figure = loss(other)
    assert figure.axes[0].get_ylabel() == "loss (dpo)"


def test_the_feedback_bar_has_a_segment_for_each_count_in_order() -> None:
    build = reported().build
    assert build is not None
    _, figure = feedback(build)
    bars = [bar for container in figure.axes[0].containers for bar in container]
    assert [bar.get_width() for bar in bars] == [205, 35, 80, 61, 48, 35, 3]
    assert [bar.get_x() for bar in bars] == [0, 205, 240, 320, 381, 429, 464]


def test_names_are_never_read_as_mathematics_and_missing_glyphs_do_not_warn() -> None:
    _, figure = differences([_line("cost $x^2$ and $\\frac{1}{2$ 見積 \x1b[0m")])
    figure.canvas.draw()
    assert "cost \\$x^2\\$ and \\$\\frac{1}{…\nguard, 174 items" in _texts(figure)
    _, figure = differences([_line("見積\x1b")])
    figure.canvas.draw()
    assert any(re.match(r"\?\?[␛?]\nguard", text) for text in _texts(figure))


def test_a_cycle_that_stopped_early_has_only_the_plots_it_has_numbers_for() -> None:
    early = reported(steps=2, state="failed", verdict=None)
    assert [plot.name for plot in draw(early)] == ["feedback"]
    assert draw(reported(steps=1, state="failed", verdict=None)) == ()


def test_no_global_figure_is_left_behind_and_the_same_numbers_give_the_same_bytes(
    drawn: dict[str, Plot],
) -> None:
    only_feedback: CycleReport = reported(steps=2, state="failed", verdict=None)
    assert draw(only_feedback) == (drawn["feedback"],)
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_without_matplotlib_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(canvas, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"A plot needs matplotlib.*honewheel\[train\]"):
        items([(0.1, 0.2)])
    with pytest.raises(MissingExtra, match=r"A plot needs matplotlib"):
        draw(reported())
