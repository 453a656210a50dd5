from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from curate_builders import accepted, corrected, event, example, said
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import difficulty
from honewheel.curate.rows import Row
from honewheel.records import Event


def by(version: str | None, found: Event) -> Event:
    return replace(found, response=replace(found.response, version=version))


def by_group(events: Iterable[Event], champion: str | None = None) -> dict[str, float]:
    tally = difficulty.Tally(champion)
    for one in events:
        tally.add(one)
    return tally.difficulties()


def row(number: int, group: str) -> Row:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    found = example(number, group=group)
    return Row(example=found, exact=str(number), source="ana", at=at, similarity=None)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 12), st.integers(0, 12))
def test_difficulty_is_the_smoothed_share_of_failures(good: int, bad: int) -> None:
    events = [accepted(n, group="g") for n in range(good)]
    events += [corrected(n, group="g") for n in range(100, 100 + bad)]
    found = by_group(events)
    if not events:
        assert found == {}
        return
    assert found["g"] == pytest.approx(1 - (good + 1) / (good + bad + 2), abs=1e-6)
    assert 0 < found["g"] < 1
    more = by_group([*events, corrected(999, group="g")])
    assert more["g"] > found["g"]


def test_a_corrected_output_is_a_failure_however_good_the_correction() -> None:
    touched = corrected(1, group="g", output="x" * 99, correction="x" * 98 + "y")
    assert difficulty.success(touched) is False
    liked = (said("thumb", 1.0, source="ben"), said("rating", 1.0, source="cy"))
    assert difficulty.success(corrected(1, group="g", feedback=liked)) is False
    assert difficulty.success(accepted(1)) is True
    assert difficulty.success(event(1, feedback=(said("thumb", 0.0),))) is False
    assert difficulty.success(event(1)) is None


def test_what_nobody_judged_and_what_is_not_placed_does_not_count() -> None:
    events = [event(1, group="g"), replace(accepted(2, group="g"), placement=None)]
    assert by_group(events) == {}


def test_the_champions_record_counts_where_it_has_one_and_the_log_elsewhere() -> None:
    events = [by("m@1", corrected(n, group="both")) for n in range(8)]
    events += [by("m@2", accepted(n, group="both")) for n in range(10, 18)]
    events += [by("m@1", corrected(n, group="old")) for n in range(20, 28)]
    found = by_group(events, "m@2")
    assert found == {"both": pytest.approx(0.1), "old": pytest.approx(0.9)}
    assert by_group(events)["both"] == 0.5


def test_the_order_of_the_events_does_not_count() -> None:
    rng = random.Random(0)
    events = [
        (accepted if rng.random() < 0.5 else corrected)(n, group=f"g{n % 5}") for n in range(60)
    ]
    assert by_group(rng.sample(events, 60)) == by_group(events)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20))
def test_learnability_has_mean_one_and_silences_nothing(found: list[float]) -> None:
    rows = [row(at, f"g{at}") for at in range(len(found))]
    factors = difficulty.learnability(rows, {f"g{at}": d for at, d in enumerate(found)})
    assert factors.refused is None
    assert sum(factors.values) == pytest.approx(len(rows))
    # p(1 - p) is at most 1/4, and nothing gets less than a tenth of that.
    assert min(factors.values) >= 0.1 * max(factors.values) - 1e-9


def test_what_succeeds_half_of_the_time_weighs_most() -> None:
    rows = [row(at, name) for at, name in enumerate(("easy", "half", "hard", "unknown"))]
    easy, half, hard, unknown = difficulty.learnability(
        rows, {"easy": 0.1, "half": 0.5, "hard": 0.8}
    ).values
    assert easy < hard < half == unknown
    assert half / easy == pytest.approx(0.25 / 0.09)
    assert difficulty.learnability([], {}).values == ()
