from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest
from evaluate_builders import scored
from hypothesis import given
from hypothesis import strategies as st

from honewheel.errors import InputError, NotEnoughData
from honewheel.evaluate.metrics import mean, rate, rows, wilson
from honewheel.records import Item, Prediction

ITEMS = [
    Item(id=f"i{at}", task="erd", prompt="p", reference=f"r{at}", group=f"g{at}") for at in range(3)
]


def same(output: str, reference: str, context: Mapping[str, str]) -> dict[str, float]:
    right = float(output == reference)
    return {"score": right, "valid": 1.0, "exact": right}


def answers(*outputs: str) -> list[Prediction]:
    return [Prediction(item=f"i{at}", output=text, tokens=1) for at, text in enumerate(outputs)]


def test_every_item_gets_a_row_with_its_group_output_and_metrics() -> None:
    found = rows("m@1", "panel", ITEMS, reversed(answers("r0", "x", "r2")), same)
    assert [row.metrics["score"] for row in found] == [1, 0, 1]
    assert (found[1].item, found[1].group, found[1].output) == ("i1", "g1", "x")
    assert {(row.version, row.suite, row.task) for row in found} == {("m@1", "panel", "erd")}


def test_an_item_without_an_answer_is_refused_with_the_counts() -> None:
    with pytest.raises(InputError, match="answered 2 of 3 items of panel; i2"):
        rows("m@1", "panel", ITEMS, answers("a", "b"), same)


@pytest.mark.parametrize("metrics", [
    {"score": math.nan, "valid": 1, "exact": 0}, {"score": 1.5, "valid": 1, "exact": 0},
    {"score": 1, "valid": 1}, {"score": 1, "valid": 1, "exact": 0, "extra": -0.1},
])  # fmt: skip
def test_a_metric_that_is_no_share_is_refused(metrics: dict[str, float]) -> None:
    with pytest.raises(InputError, match="item i0"):
        rows("m@1", "panel", ITEMS, answers("a", "b", "c"), lambda *_: metrics)


def test_the_mean_of_nothing_is_refused() -> None:
    with pytest.raises(NotEnoughData, match="zero rows"):
        mean([], "score")
    assert mean(scored("m@1", [0.25, 0.75]), "score") == 0.5


def test_a_rate_comes_with_its_wilson_interval() -> None:
    found = rate(scored("m@1", [1] * 10, valid=[1] * 9 + [0]), "valid")
    assert (found.value, found.count) == (0.9, 10)
    # Wilson's interval for 9 of 10, computed by hand from the quadratic's roots.
    assert found.low == pytest.approx(0.5958, abs=1e-4)
    assert found.high == pytest.approx(0.9821, abs=1e-4)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_lies_in_the_unit_interval_holds_the_share_and_mirrors(pair: tuple) -> None:
    successes, count = pair
    low, high = wilson(successes, count)
    assert 0 <= low <= successes / count <= high <= 1
    assert wilson(count - successes, count) == pytest.approx((1 - high, 1 - low))
    assert wilson(successes, count, 0.8)[0] >= low


def test_wilson_covers_the_true_share_about_as_often_as_it_says() -> None:
    rng = random.Random(1)
    covered = 0
    for _ in range(2000):
        low, high = wilson(sum(rng.random() < 0.9 for _ in range(40)), 40)
        covered += low <= 0.9 <= high
    assert 0.92 < covered / 2000 < 0.98


def test_an_impossible_count_is_no_proportion() -> None:
    with pytest.raises(InputError, match="5 of 4"):
        wilson(5, 4)
