from __future__ import annotations

from collections import Counter

import pytest
from curate_builders import example
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import replay
from honewheel.errors import InputError

POOL = [example(at, task=("erd", "ddl", "query")[at % 3], role="replay") for at in range(60)]


@settings(deadline=None)
@given(st.permutations(POOL), st.integers(0, 80), st.integers(0, 5))
def test_the_sample_does_not_depend_on_the_order_of_the_pool(
    pool: list, size: int, seed: int
) -> None:
    chosen = replay.choose(pool, size, seed)
    assert chosen == replay.choose(POOL, size, seed)
    assert len(chosen) == len({row.id for row in chosen}) == min(size, len(POOL))


def test_another_seed_draws_another_sample() -> None:
    assert replay.choose(POOL, 20, 0) != replay.choose(POOL, 20, 1)


def test_inclusion_follows_the_weights() -> None:
    """One draw from the pool is row i with probability w_i / sum(w): chi-square over seeds."""
    pool = [example(at, weight=float(at + 1)) for at in range(8)]
    draws = 4000
    seen = Counter(replay.choose(pool, 1, seed)[0].id for seed in range(draws))
    total = sum(row.weight for row in pool)
    chi_square = sum(
        (seen[row.id] - draws * row.weight / total) ** 2 / (draws * row.weight / total)
        for row in pool
    )
    assert chi_square < 24.3  # 7 degrees of freedom, p = 0.001


def test_every_task_gets_its_share_and_small_tasks_all_they_have() -> None:
    pool = [example(at, task="erd") for at in range(100)]
    pool += [example(at, task="ddl") for at in range(100, 200)]
    pool += [example(at, task="query") for at in range(200, 203)]
    shares = Counter(row.task for row in replay.choose(pool, 23, 0))
    assert shares == {"erd": 10, "ddl": 10, "query": 3}


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.integers(0, 50), max_size=6), st.integers(-2, 200))
def test_allotments_fill_the_size_within_the_stock(stock: dict[str, int], size: int) -> None:
    shares = replay.allot(stock, size)
    assert sum(shares.values()) == min(max(size, 0), sum(stock.values()))
    assert all(0 <= shares[task] <= stock[task] for task in stock)
    full = [shares[task] for task in stock if shares[task] < stock[task]]
    assert max(shares.values(), default=0) - min(full, default=10**9) <= 1


@pytest.mark.parametrize(("new", "share", "rows"), [(70, 0.3, 30), (150, 0.0, 0), (10, 0.5, 10)])
def test_the_budget_makes_the_share_of_the_train_set(new: int, share: float, rows: int) -> None:
    assert replay.budget(new, share) == rows


def test_a_share_of_everything_is_refused() -> None:
    with pytest.raises(InputError, match="outside"):
        replay.budget(10, 1.0)
