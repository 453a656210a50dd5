"""When training stops: paired per-item losses, a difference in standard errors, and patience."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.families.stopping import Best, improves

losses = st.lists(st.floats(0.0, 20.0), min_size=1, max_size=40)


def run(curve: Sequence[Sequence[float]], min_delta: float, patience: int) -> tuple[Best, int]:
    """(best, validations taken) of a training that validates after steps 1, 2, 3, ..."""
    best = Best()
    for step, items in enumerate(curve, start=1):
        best = best.after(step, items, min_delta)
        if best.stale >= patience:
            return best, step
    return best, len(curve)


def noisy(mean: float, rng: random.Random, items: int = 100) -> list[float]:
    """Losses of the same items: hard ones stay hard, and each wobbles a little."""
    hard = random.Random(0)
    return [mean + hard.gauss(0, 1) + rng.gauss(0, 0.1) for _ in range(items)]


def test_a_flat_curve_stops_after_the_patience_and_keeps_the_first_state() -> None:
    items = [1.0, 2.0, 3.0]
    best, taken = run([items] * 10, 1.0, patience=3)
    assert (best.step, taken) == (1, 4)


def test_wobble_around_a_plateau_is_no_improvement_but_would_be_without_a_minimum() -> None:
    rng = random.Random(5)
    curve = [noisy(2.0, rng) for _ in range(30)]
    best, taken = run(curve, 2.0, patience=3)
    assert taken < 15
    assert best.step is not None
    assert best.step <= taken - 3
    lowest = min(range(30), key=lambda step: sum(curve[step])) + 1
    assert run(curve, 0.0, patience=100)[0].step == lowest


def test_pairing_sees_a_gain_far_below_the_spread_between_items() -> None:
    rng = random.Random(1)
    old, new = noisy(2.0, rng), noisy(1.95, rng)  # items differ by 1, the gain is 0.05
    assert improves(old, new, 1.0)
    assert not improves(old, rng.sample(new, len(new)), 1.0)


def test_small_steps_down_add_up_against_the_best() -> None:
    rng = random.Random(2)
    curve = [noisy(2.0 - 0.005 * step, rng) for step in range(60)]
    best, taken = run(curve, 1.0, patience=8)
    assert taken == 60
    assert best.step is not None
    assert best.step > 40


def test_a_rise_ends_the_training_at_its_lowest_state() -> None:
    rng = random.Random(3)
    means = [2.0, 1.5, 1.2, 1.1, 1.3, 1.6, 2.0, 2.5]
    best, taken = run([noisy(mean, rng) for mean in means], 1.0, patience=2)
    assert (best.step, taken) == (4, 6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_never_best_for_long(bad: float) -> None:
    first = Best().after(1, [bad, 1.0], 1.0)
    better = first.after(2, [9.0, 9.0], 1.0)
    assert (better.step, better.stale) == (2, 0)
    assert better.after(3, [bad, 0.1], 1.0).step == 2
    assert not improves([bad, 1.0], [bad, 0.5], 0.0)


@given(losses, st.floats(0.0, 5.0))
@settings(max_examples=60, deadline=None)
def test_nothing_improves_on_itself(items: list[float], min_delta: float) -> None:
    assert not improves(items, items, min_delta)


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_improvement_has_one_direction_and_a_higher_bar_lets_less_through(
    pairs: list[tuple[float, float]],
) -> None:
    old, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    assert not (improves(old, new, 0.0) and improves(new, old, 0.0))
    passed = [improves(old, new, bar) for bar in (0.0, 1.0, 3.0)]
    assert passed == sorted(passed, reverse=True)


@given(
    st.lists(st.lists(st.floats(0, 20), min_size=5, max_size=5), min_size=1, max_size=12),
    st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_the_best_is_one_that_was_seen_and_more_patience_never_stops_sooner(
    curve: list[list[float]], patience: int
) -> None:
    best, taken = run(curve, 1.0, patience)
    assert best.step is not None
    assert best.losses == tuple(curve[best.step - 1])
    assert best.step <= taken
    assert run(curve, 1.0, patience + 1)[1] >= taken
