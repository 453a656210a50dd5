from __future__ import annotations

import random
from datetime import UTC, datetime
from statistics import fmean

import numpy as np
import pytest
from curate_builders import accepted, event, example, said
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import propensity
from honewheel.curate.rows import Row
from honewheel.records import Event


def rows_of(events: list[Event]) -> list[Row]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Row(
            example=example(one.seq, task=one.response.task, events=(one.id,)),
            exact=one.id,
            source="ana",
            at=at,
            similarity=None,
        )
        for one in events
        if one.feedback
    ]


def angry(count: int, seed: int) -> tuple[list[Event], dict[str, float]]:
    """A log in which failures are reported three times as often as successes.

    Long outputs fail more often, and one task is harder than the other; event -> true quality.
    """
    rng = random.Random(seed)
    events, quality = [], {}
    for number in range(count):
        task = rng.choice(["erd", "sql"])
        length = rng.choice([20, 60, 200, 600])
        good = rng.random() < {20: 0.9, 60: 0.7, 200: 0.4, 600: 0.1}[length] - 0.1 * (task == "sql")
        spoken = rng.random() < (0.1 if good else 0.3)
        thumb = (said("thumb", float(good)),) if spoken else ()
        made = event(number, task=task, output="x" * length, prompt="draw it", feedback=thumb)
        events.append(made)
        quality[made.id] = float(good)
    return events, quality


@pytest.mark.parametrize("seed", range(4))
def test_where_the_angry_speak_most_the_corrected_mean_is_nearer_the_truth(seed: int) -> None:
    events, quality = angry(3000, seed)
    rows = rows_of(events)
    truth = fmean(quality.values())
    heard = [quality[row.event] for row in rows]
    found = propensity.factors(rows, events)
    assert found.refused is None
    corrected = float(np.average(heard, weights=found.values))
    assert abs(corrected - truth) < 0.9 * abs(fmean(heard) - truth)


def test_what_is_seldom_judged_stands_for_more_up_to_ten() -> None:
    rng = random.Random(1)
    events = [
        event(
            number,
            task="erd" if number % 2 else "sql",
            feedback=(said("thumb", 1.0),) if rng.random() < (0.5, 0.02)[number % 2] else (),
        )
        for number in range(3000)
    ]
    fitted = propensity.fit(events)
    assert fitted is not None
    assert fitted.probability(events[0].response) == pytest.approx(0.5, abs=0.06)
    assert fitted.weight(events[0].response) == pytest.approx(2, abs=0.3)
    assert fitted.probability(events[1].response) == pytest.approx(0.02, abs=0.02)
    assert fitted.weight(events[1].response) == propensity.CLIP
    rows = rows_of(events)
    found = propensity.factors(rows, events).values
    weights = {row.example.task: value for row, value in zip(rows, found, strict=True)}
    assert weights["erd"] > 4 * weights["sql"]


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000))
def test_factors_have_mean_one_and_span_at_most_ten(seed: int) -> None:
    events, _ = angry(600, seed)
    rows = rows_of(events)
    found = propensity.factors(rows, events)
    assert len(found.values) == len(rows)
    assert sum(found.values) == pytest.approx(len(rows))
    assert max(found.values) <= 10 * min(found.values)


def test_the_order_of_the_log_does_not_count() -> None:
    events, _ = angry(500, 3)
    rows = rows_of(events)
    mixed = random.Random(0).sample(events, len(events))
    assert propensity.factors(rows, mixed) == propensity.factors(rows, events)


def test_too_few_effective_rows_are_refused_with_the_numbers() -> None:
    events, _ = angry(100, 0)
    rows = rows_of(events)
    found = propensity.factors(rows, events)
    assert set(found.values) == {1.0}
    assert found.refused is not None
    assert f"{len(rows)} rows count as" in found.refused
    assert "at least 50 are needed" in found.refused


def test_a_log_of_judged_responses_only_has_nothing_to_correct() -> None:
    events = [accepted(number) for number in range(80)]
    found = propensity.factors(rows_of(events), events)
    assert found.values == (1.0,) * 80
    assert found.refused is not None
    assert "all 80 responses have feedback" in found.refused


def test_a_row_that_no_response_stands_behind_stands_for_itself() -> None:
    events, _ = angry(1200, 2)
    rows = rows_of(events)
    made = Row(
        example=example(99_999, events=("made",)),
        exact="made",
        source="",
        at=rows[0].at,
        similarity=None,
    )
    found = propensity.factors([*rows, made], events)
    assert found.refused is None
    assert found.values[-1] == min(found.values)
