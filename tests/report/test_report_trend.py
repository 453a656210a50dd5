"""The picture of a task over time: what it says, that it is a picture, and what it needs."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from honewheel.errors import NotEnoughData
from honewheel.loop.trend import Point, Trend
from honewheel.report import trend as pictures


def point(number: int, score: float, **more: Any) -> Point:
    given: dict[str, Any] = {
        "cycle": f"artifacts-{number:04d}",
        "version": f"artifacts@{number}",
        "verdict": "promote" if number % 2 else "reject",
        "at": datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number),
        "prompts": 120,
        "score": score,
        "champion": score - 0.05,
        "success": score - 0.1,
        "valid": 0.95,
        "accepted": None if number == 1 else 0.6,
        "heard": 0 if number == 1 else 80,
        "newest": None if number == 1 else score - 0.02,
        "late": 0 if number == 1 else 20,
        "seconds": 0.4 + number / 10,
        "tokens": 90.0 + number,
        "generic": 0.0,
        "hard": None,
        "val_loss": 1.2,
    }
    return Point(**given | more)


def test_the_title_says_how_far_the_task_has_come() -> None:
    found = Trend(task="erd", points=(point(1, 0.412), point(2, 0.5), point(3, 0.633)))
    title, _ = pictures.figure(found)
    assert title == "erd: 41.2 to 63.3 points (+22.1) over 3 cycles"
    assert pictures.figure(Trend(task="erd", points=(point(1, 0.4),)))[0] == (
        "erd: 40.0 points in its only cycle"
    )


def test_lines_hold_the_numbers_and_a_gap_stays_a_gap() -> None:
    found = Trend(task="erd", points=(point(1, 0.4), point(2, 0.5), point(3, 0.6)))
    axes, below = pictures.figure(found)[1].axes
    drawn = {line.get_label(): list(line.get_xydata()[:, 1]) for line in axes.lines}
    assert drawn["score"] == pytest.approx([40, 50, 60])
    assert drawn["accepted by users since the cycle before"] == pytest.approx([60, 60])
    assert [bar.get_height() for bar in below.patches] == pytest.approx([0.5, 0.6, 0.7])
    assert below.get_ylabel() == "seconds"
    assert drawn["score on what was asked last"] == pytest.approx([48, 58])
    (rings,) = axes.collections
    assert [list(place) for place in rings.get_offsets()] == [[0, 40], [2, 60]]
    assert [text.get_text() for text in below.get_xticklabels()] == [
        "@1",
        "@2",
        "@3",
    ]


def test_versions_of_several_models_are_told_apart() -> None:
    other = point(2, 0.5, version="drafts@2")
    _, below = pictures.figure(Trend(task="erd", points=(point(1, 0.4), other)))[1].axes
    assert [text.get_text() for text in below.get_xticklabels()] == ["artifacts@1", "drafts@2"]


def test_where_no_time_was_measured_the_lengths_are_drawn() -> None:
    _, below = pictures.figure(Trend(task="erd", points=(point(1, 0.5, seconds=None),)))[1].axes
    assert (below.get_ylabel(), below.patches[0].get_height()) == ("tokens", 91.0)


def test_without_token_counts_there_is_one_pair_of_axes() -> None:
    points = tuple(point(n, 0.5, tokens=None, seconds=None) for n in range(1, 4))
    assert len(pictures.figure(Trend(task="erd", points=points))[1].axes) == 1


@pytest.mark.parametrize("count", [1, 3, 20])
def test_it_is_a_png_of_the_house_width(count: int) -> None:
    points = tuple(point(n, 0.4 + n / 100) for n in range(1, count + 1))
    png = pictures.draw(Trend(task="$x$ \u202eerd", points=points))
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">I", png[16:20])[0] == 1600


def test_a_task_nobody_measured_has_no_picture() -> None:
    with pytest.raises(NotEnoughData, match="No finished cycle has measured erd"):
        pictures.draw(Trend(task="erd", points=()))
