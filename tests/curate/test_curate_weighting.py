from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from curate_builders import NOW, example
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import weighting
from honewheel.curate.rows import Row
from honewheel.curate.weighting import Factors
from honewheel.errors import InputError


def row(number: int, *, task: str = "erd", age: float = 0.0, group: str | None = None) -> Row:
    found = example(number, task=task, group=group or f"g-{number}")
    return Row(
        example=found,
        exact=str(number),
        source="ana",
        at=NOW - timedelta(days=age),
        similarity=None,
    )


ROWS = st.lists(
    st.tuples(st.sampled_from(["erd", "sql", "gherkin"]), st.floats(0, 3000), st.integers(0, 5)),
    min_size=1,
    max_size=30,
).map(
    lambda found: [
        row(at, task=task, age=age, group=f"{task}-{group}")
        for at, (task, age, group) in enumerate(found)
    ]
)


def weigh(rows: Sequence[Row], half_life: float = 180.0, **more: object) -> tuple[float, ...]:
    return weighting.weights(rows, as_of=NOW, half_life_days=half_life, **more)  # type: ignore[arg-type]


def mass(rows: Sequence[Row], weights: Sequence[float]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one, weight in zip(rows, weights, strict=True):
        found[one.example.task] += weight  # type: ignore[assignment]
    return found


@settings(deadline=None, max_examples=50)
@given(ROWS, st.floats(0, 1), st.sampled_from([14.0, 180.0, math.inf]))
def test_weights_are_positive_with_mean_one_and_tasks_have_their_shares(
    rows: list[Row], power: float, half_life: float
) -> None:
    weights = weigh(rows, half_life, task_balance=power)
    count = Counter(one.example.task for one in rows)
    shares = {task: n**power for task, n in count.items()}
    assert min(weights) > 0
    assert math.fsum(weights) == pytest.approx(len(rows), rel=1e-4)
    for task, found in mass(rows, weights).items():
        wanted = len(rows) * shares[task] / sum(shares.values())
        assert found == pytest.approx(wanted, rel=1e-4)


def test_within_a_task_age_and_copies_decide() -> None:
    rows = [row(1), row(2, age=180), row(3, group="twins"), row(4, group="twins")]
    fresh, old, one, other = weigh(rows)
    assert old == pytest.approx(fresh / 2, rel=1e-4)
    assert one == other == pytest.approx(fresh / 2, rel=1e-4)
    assert weigh(rows[:2], math.inf) == (1.0, 1.0)


def test_an_old_task_is_not_starved_by_a_young_one() -> None:
    rows = [row(1, task="erd", age=900), row(2, task="sql")]
    assert weigh(rows) == (1.0, 1.0)


def test_balance_moves_mass_from_the_big_task_to_the_small_one() -> None:
    rows = [row(n, task="erd") for n in range(90)] + [row(n, task="sql") for n in range(90, 100)]
    shares = [mass(rows, weigh(rows, task_balance=power))["sql"] / 100 for power in (1.0, 0.5, 0.0)]
    assert shares == pytest.approx([0.1, 0.25, 0.5], rel=1e-4)


def test_a_balance_outside_its_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"1\.5 is outside 0 \.\. 1"):
        weighting.balance([row(1)], 1.5)


def test_factors_multiply_and_a_refused_one_changes_nothing() -> None:
    rows = [row(1), row(2)]
    double = Factors(values=(2.0, 1.0))
    none = Factors(values=(1.0, 1.0), refused="too little")
    first, second = weigh(rows, factors=[double, double, none])
    assert first == pytest.approx(4 * second, rel=1e-4)
    with pytest.raises(ValueError, match="shorter"):
        weigh(rows, factors=[Factors(values=(1.0,))])


@settings(deadline=None, max_examples=30)
@given(ROWS, st.randoms(use_true_random=False))
def test_weights_follow_their_rows_whatever_the_order(rows: list[Row], rng: random.Random) -> None:
    mixed = rng.sample(rows, len(rows))
    straight = dict(zip((one.event for one in rows), weigh(rows), strict=True))
    assert dict(zip((one.event for one in mixed), weigh(mixed), strict=True)) == straight


def test_building_later_changes_no_weight_within_a_task() -> None:
    rows = [row(1), row(2, age=30), row(3, age=300)]
    later = weighting.weights(rows, as_of=NOW + timedelta(days=50), half_life_days=180)
    assert later == pytest.approx(weigh(rows), rel=1e-4)
    future = [replace(rows[0], at=NOW + timedelta(days=9)), rows[0]]
    assert weigh(future) == (1.0, 1.0)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=50), st.floats(1e-6, 1e6))
def test_effective_size_lies_between_one_and_n_and_knows_no_scale(
    weights: list[float], scale: float
) -> None:
    found = weighting.ess(weights)
    assert 1 - 1e-9 <= found <= len(weights) + 1e-9
    assert weighting.ess([scale * one for one in weights]) == pytest.approx(found)


def test_effective_size_of_equal_weights_is_their_number_and_of_none_zero() -> None:
    assert weighting.ess([3.0] * 7) == pytest.approx(7)
    assert weighting.ess([]) == weighting.ess([0.0]) == 0
