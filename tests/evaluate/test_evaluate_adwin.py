from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.evaluate.adwin import ROW, Adwin


def feed(values: list[float], delta: float = 0.002) -> list[tuple[int, float, float]]:
    """(place, mean before, mean after) of each change."""
    window = Adwin(delta)
    found = []
    for place, value in enumerate(values):
        change = window.add(value)
        if change is not None:
            found.append((place, change.before, change.after))
    return found


def coins(rng: random.Random, chance: float, count: int) -> list[float]:
    return [float(rng.random() < chance) for _ in range(count)]


def test_a_stable_stream_is_left_alone() -> None:
    alarms = [feed(coins(random.Random(seed), 0.8, 1000)) for seed in range(12)]
    assert sum(map(bool, alarms)) <= 1


def test_a_step_is_found_soon_and_told_with_its_direction() -> None:
    rng = random.Random(4)
    found = feed(coins(rng, 0.9, 800) + coins(rng, 0.5, 400))
    place, before, after = found[0]
    assert 800 < place < 900
    assert before == pytest.approx(0.9, abs=0.05)
    assert after < before


def test_a_ramp_is_found() -> None:
    rng = random.Random(6)
    found = feed([float(rng.random() < 0.9 - 0.6 * step / 2000) for step in range(2000)])
    assert found
    assert all(after < before for _, before, after in found)


def test_the_window_forgets_what_was_before_the_change() -> None:
    rng = random.Random(8)
    window = Adwin(0.002)
    for value in coins(rng, 0.9, 1500) + coins(rng, 0.2, 500):
        window.add(value)
    assert window.count < 700
    assert window.mean == pytest.approx(0.2, abs=0.07)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=300))
def test_the_histogram_holds_the_window_in_few_buckets(values: list[float]) -> None:
    window = Adwin(1e-9)
    for value in values:
        window.add(value)
    counts = [bucket.count for bucket in window._buckets]
    assert sum(counts) == window.count
    assert counts == sorted(counts, reverse=True)
    assert len(counts) <= ROW * (1 + math.log2(len(values) + 1))
    if window.count == len(values) > 0:
        assert window.mean == pytest.approx(sum(values) / len(values))


def test_a_value_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a value of 1.5 is outside"):
        Adwin(0.01).add(1.5)
