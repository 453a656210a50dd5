from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from evaluate_builders import scored
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.errors import InputError, NotEnoughData
from honewheel.evaluate.compare import compare, pooled
from honewheel.records import Comparison, EvalRow

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=30)


def compared(new: list[EvalRow], old: list[EvalRow], **more: object) -> Comparison:
    options: dict[str, object] = {"level": 0.8, "seed": 3, "resamples": 400, **more}
    return compare("erd", "score", new, old, **options)  # type: ignore[arg-type]


def both(pairs: list[tuple[float, float]]) -> tuple[list[EvalRow], list[EvalRow]]:
    return scored("m@2", [new for new, _ in pairs]), scored("m@1", [old for _, old in pairs])


@settings(deadline=None)
@given(PAIRS)
def test_the_difference_is_the_mean_of_the_paired_differences(
    pairs: list[tuple[float, float]],
) -> None:
    found = compared(*both(pairs), resamples=50)
    assert found.difference == pytest.approx(sum(n - o for n, o in pairs) / len(pairs), abs=1e-9)
    assert found.challenger - found.champion == pytest.approx(found.difference, abs=1e-9)
    assert found.low <= found.bound <= found.high
    assert -1 <= found.low <= found.high <= 1
    assert (found.items, found.groups) == (len(pairs), len(pairs))


@settings(deadline=None)
@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(
    pairs: list[tuple[float, float]], rng: random.Random
) -> None:
    new, old = both(pairs)
    shuffled = compared(rng.sample(new, len(new)), rng.sample(old, len(old)))
    assert shuffled == compared(new, old)


@settings(deadline=None)
@given(PAIRS)
def test_swapping_the_sides_mirrors_the_interval(pairs: list[tuple[float, float]]) -> None:
    new, old = both(pairs)
    there, back = compared(new, old), compared(old, new)
    assert back.difference == pytest.approx(-there.difference, abs=1e-12)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-9)
    assert back.spread == pytest.approx(there.spread, abs=1e-9)


def test_identical_answers_give_an_interval_of_exactly_zero() -> None:
    scores = np.random.default_rng(0).random(50).tolist()
    for groups in (None, [0] * 50, [at // 5 for at in range(50)]):
        new = scored("m@2", scores, groups=groups)
        old = scored("m@1", scores, groups=groups)
        found = compared(new, old)
        assert (found.difference, found.low, found.high, found.bound) == (0, 0, 0, 0)
        assert found.spread == 0


def test_the_same_seed_gives_the_same_interval_and_another_a_near_one() -> None:
    rng = np.random.default_rng(1)
    new, old = scored("a", rng.random(80).tolist()), scored("b", rng.random(80).tolist())
    assert compared(new, old) == compared(new, old)
    other = compared(new, old, seed=4)
    assert other.low != compared(new, old).low
    assert other.low == pytest.approx(compared(new, old).low, abs=0.03)


def test_the_interval_matches_the_normal_one_on_many_items() -> None:
    rng = np.random.default_rng(2)
    difference = rng.normal(0.05, 0.2, 400)
    old = np.full(400, 0.5)
    found = compared(scored("a", list(old + difference)), scored("b", list(old)), resamples=4000)
    error = difference.std(ddof=1) / math.sqrt(400)
    assert found.spread == pytest.approx(difference.std(ddof=1))
    assert found.low == pytest.approx(difference.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(difference.mean() + 1.96 * error, abs=0.15 * error)
    assert found.bound == pytest.approx(difference.mean() - 0.842 * error, abs=0.15 * error)


def test_the_interval_of_few_groups_is_not_too_short() -> None:
    """Resampling 5 groups has a standard error of sqrt(4/5) of the true s / sqrt(5)."""
    difference = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])
    new, old = scored("a", list(0.5 + difference)), scored("b", [0.5] * 5)
    found = compared(new, old, resamples=20_000, level=0.8413)  # one standard error below
    error = difference.std(ddof=1) / math.sqrt(5)
    assert found.difference - found.bound == pytest.approx(error, rel=0.06)


def test_copies_in_a_group_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(3)
    one = rng.normal(0.05, 0.2, 40)
    groups = [at for at in range(40) for _ in range(5)]
    copied = [value for value in one for _ in range(5)]
    single = compared(scored("a", list(0.5 + one)), scored("b", [0.5] * 40))
    clustered = compared(
        scored("a", [0.5 + value for value in copied], groups=groups),
        scored("b", [0.5] * 200, groups=groups),
    )
    naive = compared(scored("a", [0.5 + value for value in copied]), scored("b", [0.5] * 200))
    assert (clustered.items, clustered.groups) == (200, 40)
    assert clustered.high - clustered.low == pytest.approx(single.high - single.low, rel=0.15)
    assert naive.high - naive.low < 0.6 * (clustered.high - clustered.low)


def test_one_group_says_nothing_about_the_spread() -> None:
    groups = [0] * 40
    found = compared(scored("a", [0.9] * 40, groups=groups), scored("b", [0.5] * 40, groups=groups))
    assert (found.low, found.high, found.bound) == (-1, 1, -1)


def test_sides_with_different_items_are_refused() -> None:
    new, old = both([(0.5, 0.5)] * 4)
    with pytest.raises(InputError, match=r"different items \(3 and 4; erd-0003"):
        compared(new[:3], old)
    moved = [replace(row, suite="other") for row in old]
    with pytest.raises(InputError, match="different items"):
        compared(new, moved)


def test_an_item_given_twice_or_a_metric_that_is_no_number_is_refused() -> None:
    new, old = both([(0.5, 0.5)] * 4)
    with pytest.raises(InputError, match="two rows"):
        compared([*new, new[0]], old)
    broken = [replace(new[0], metrics={"score": math.nan}), *new[1:]]
    with pytest.raises(InputError, match="erd-0000 is nan"):
        compared(broken, old)
    with pytest.raises(InputError, match="speed"):
        compare("erd", "speed", new, old, level=0.8, seed=0)


def test_no_items_are_not_enough() -> None:
    with pytest.raises(NotEnoughData, match="erd has no items"):
        compared([], [])
    with pytest.raises(NotEnoughData):
        pooled("all", "score", [], [], level=0.8, seed=0)


def test_the_untuned_base_is_told_beside_the_two() -> None:
    new, old = both([(0.9, 0.5)] * 4)
    found = compared(new, old, base_rows=scored("m@0", [0.1, 0.2, 0.3, 0.4]))
    assert found.base == pytest.approx(0.25)
    assert compared(new, old).base is None


def test_pooling_counts_every_task_alike() -> None:
    new = scored("a", [0.9] * 40) + scored("a", [0.3] * 10, task="ddl")
    old = scored("b", [0.5] * 40) + scored("b", [0.5] * 10, task="ddl")
    found = pooled("all", "score", new, old, level=0.8, seed=0, base_rows=old)
    assert found.difference == pytest.approx((0.4 - 0.2) / 2)
    assert (found.champion, found.challenger, found.base) == pytest.approx((0.5, 0.6, 0.5))
    assert (found.items, found.groups) == (50, 50)


def test_the_pooled_interval_is_that_of_independent_tasks() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.normal(0.1, 0.2, 200), rng.normal(0.0, 0.1, 100)
    new = scored("a", list(0.5 + one)) + scored("a", list(0.5 + other), task="ddl")
    old = scored("b", [0.5] * 200) + scored("b", [0.5] * 100, task="ddl")
    found = pooled("all", "score", new, old, level=0.8, seed=0, resamples=4000)
    error = 0.5 * math.sqrt(one.var(ddof=1) / 200 + other.var(ddof=1) / 100)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert found.spread / math.sqrt(found.groups) == pytest.approx(error)


def test_pooling_one_task_is_comparing_it() -> None:
    new, old = both([(0.9, 0.5), (0.2, 0.4), (0.7, 0.1)])
    single = compared(new, old)
    assert pooled("erd", "score", new, old, level=0.8, seed=3, resamples=400) == single
