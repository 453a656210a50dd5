from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import timedelta

from curate_builders import BROKEN, FINE, NOW, accepted, corrected, event
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import half_life
from honewheel.curate.half_life import Observation


def log(
    count: int, days: float, chance: Callable[[float, float], float], seed: int = 0
) -> list[Observation]:
    """Judged outputs over `days`; chance(days ago, feature) is how likely each was accepted."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        ago = days * rng.random()
        feature = rng.choice([-1.0, 1.0])
        found.append(
            Observation(
                id=f"evt_{number:05d}",
                at=NOW - timedelta(days=ago),
                task=rng.choice(["erd", "sql"]),
                accepted=rng.random() < chance(ago, feature),
                features=(feature, 1.0),
            )
        )
    return found


def test_a_taste_that_turned_a_month_ago_asks_for_a_short_half_life() -> None:
    turned = half_life.choose(
        log(2000, 300, lambda ago, wide: 0.5 + 0.4 * wide * (1 if ago < 60 else -1))
    )
    assert turned.days == 14
    assert turned.losses[14] < turned.losses[45] < turned.losses[180] < turned.losses[math.inf]
    assert "14 days" in turned.reason


def test_a_steady_taste_keeps_the_default_or_more() -> None:
    for seed in range(4):
        steady = half_life.choose(log(1500, 600, lambda ago, wide: 0.5 + 0.3 * wide, seed))
        assert steady.days >= 180


def test_no_decay_is_chosen_where_the_oldest_feedback_still_teaches() -> None:
    # Few outputs a day over eight years, and a weak dependence: every one of them is needed.
    steady = half_life.choose(log(600, 6000, lambda ago, wide: 0.5 + 0.45 * wide, 1))
    assert steady.days == math.inf


def test_with_too_little_the_default_stands_and_says_why() -> None:
    few = half_life.choose(log(199, 300, lambda ago, wide: 0.5))
    short = half_life.choose(log(500, 20, lambda ago, wide: 0.5))
    assert few.days == short.days == half_life.DEFAULT
    assert "199 judged outputs, 200 are needed" in few.reason
    assert "spans 20 days, 28 are needed" in short.reason
    assert not few.losses


def test_a_burst_on_one_day_is_one_witness_however_many_outputs_it_judged() -> None:
    found = log(100, 60, lambda ago, wide: 0.5)
    burst = [
        Observation(id=f"b{n}", at=NOW, task="erd", accepted=True, features=(1.0, 1.0))
        for n in range(900)
    ]
    chosen = half_life.choose([*found, *burst])
    assert chosen.days == half_life.DEFAULT
    assert "judged on 1 days, 8 are needed" in chosen.reason


def test_the_order_of_the_observations_does_not_count() -> None:
    found = log(400, 300, lambda ago, wide: 0.5 + 0.4 * wide * (1 if ago < 60 else -1))
    mixed = random.Random(1).sample(found, len(found))
    assert half_life.choose(mixed) == half_life.choose(found)


def test_only_judged_outputs_are_observed_at_the_time_of_the_verdict() -> None:
    events = [
        event(1),
        corrected(2, age_days=3),
        accepted(3, age_days=9, check=FINE),
        corrected(4, age_days=1, check=BROKEN),
    ]
    found = half_life.observations(events)
    assert [(one.id, one.accepted) for one in found] == [
        ("evt_00002", False),
        ("evt_00004", False),
        ("evt_00003", True),  # the thumb came NOW
    ]
    assert [one.features[0] for one in found] == [1.0, 0.0, 1.0]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(0, 120))
def test_whatever_was_observed_one_of_the_choices_is_made_and_order_does_not_count(
    seed: int, count: int
) -> None:
    found = log(count, 300, lambda ago, wide: 0.5 + 0.3 * wide, seed)
    chosen = half_life.choose(found)
    assert chosen.days in half_life.CHOICES
    assert chosen.reason
    random.Random(seed).shuffle(found)
    assert half_life.choose(found) == chosen
