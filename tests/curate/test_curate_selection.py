"""Coverage selection: the laws of facility location, and what is chosen of real-looking rows."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest
from curate_builders import example
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import features, replay, selection
from honewheel.curate.selection import Graph
from honewheel.errors import InputError

seeds = st.integers(0, 10_000)


def unit(count: int, seed: int, width: int = 6) -> features.Vectors:
    drawn = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    found: features.Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return found


def make(count: int, seed: int, neighbours: int = 64) -> Graph:
    quality = np.random.default_rng(seed + 1).uniform(0.2, 1, count)
    return selection.graph(unit(count, seed), quality, neighbours)


def naive_greedy(found: Graph, size: int) -> list[int]:
    """Every gain computed anew at every step."""
    chosen: list[int] = []
    for _ in range(size):
        left = [server for server in range(len(found)) if server not in chosen]
        chosen.append(max(left, key=lambda one: (selection.value(found, [*chosen, one]), -one)))
    return chosen


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(2, 20), st.data())
def test_value_grows_with_the_set_and_each_row_adds_less_to_a_larger_one(
    seed: int, count: int, data: st.DataObject
) -> None:
    found = make(count, seed, neighbours=8)
    large = data.draw(st.lists(st.integers(0, count - 1), unique=True, max_size=count - 1))
    small = data.draw(st.lists(st.sampled_from(large), unique=True)) if large else []
    extra = data.draw(st.sampled_from(sorted({*range(count)} - {*large})))

    def gain(chosen: list[int]) -> float:
        return selection.value(found, [*chosen, extra]) - selection.value(found, chosen)

    assert selection.value(found, small) <= selection.value(found, large) + 1e-9
    assert gain(small) >= gain(large) - 1e-9 >= -2e-9
    assert 0 <= selection.value(found, large) <= count


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(1, 4))
def test_greedy_reaches_at_least_its_guarantee_of_the_best_set(seed: int, size: int) -> None:
    found = make(12, seed)
    best = max(selection.value(found, pick) for pick in itertools.combinations(range(12), size))
    assert selection.value(found, selection.greedy(found, size)) >= (1 - 1 / math.e) * best - 1e-9


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(2, 40), st.integers(2, 12))
def test_lazy_greedy_chooses_what_naive_greedy_chooses(
    seed: int, count: int, neighbours: int
) -> None:
    found = make(count, seed, neighbours)
    size = count // 2
    lazy, naive = selection.greedy(found, size), naive_greedy(found, size)
    # Sums in another order may break ties between equal gains: the values must agree.
    for end in range(1, size + 1):
        assert selection.value(found, lazy[:end]) == pytest.approx(
            selection.value(found, naive[:end]), abs=1e-6
        )
    assert len({*lazy}) == size


def test_the_graph_holds_the_best_servers_of_each_row_and_itself() -> None:
    vectors, quality = unit(50, 3), np.full(50, 0.5)
    found = selection.graph(vectors, quality, 5)
    dense = 0.5 * np.clip(np.round(vectors @ vectors.T, 4), 0, 1)
    served = [[] for _ in range(50)]  # type: ignore[var-annotated]
    for server in range(50):
        rows, gains = found.of(server)
        assert server in rows
        for row, gain in zip(rows, gains, strict=True):
            assert gain == pytest.approx(dense[row, server], abs=1e-4)
            served[row].append(gain)
    for row in range(50):
        assert sorted(served[row]) == pytest.approx(sorted(dense[row])[-5:], abs=1e-4)


def test_a_copy_adds_nothing_and_a_crowd_of_copies_is_served_by_one() -> None:
    crowd = np.concatenate([np.repeat(unit(1, 1), 300, axis=0), unit(20, 2, 6)])
    found = selection.graph(crowd, np.ones(320))
    first = selection.greedy(found, 22)
    assert sum(index < 300 for index in first[:15]) == 1
    copies = selection.graph(np.repeat(unit(1, 1), 10, axis=0), np.ones(10))
    assert selection.value(copies, [4]) == selection.value(copies, range(10))


def test_quality_decides_between_rows_that_say_the_same() -> None:
    twice = np.repeat(unit(4, 5, 64), 2, axis=0)
    quality = np.array([0.4, 0.9] * 4)
    assert {index % 2 for index in selection.cover(twice, quality, 4)} == {1}


def clustered(count: int, kinds: int, seed: int = 0) -> list[str]:
    """Texts of `kinds` topics with very unequal shares."""
    rng = random.Random(seed)
    words = [f"w{number}" for number in range(400)]
    topics = [rng.sample(words, 12) for _ in range(kinds)]
    weights = [1 / (place + 1) ** 2 for place in range(kinds)]
    return [
        " ".join(rng.sample(rng.choices(topics, weights)[0], 9) + rng.sample(words, 2))
        for _ in range(count)
    ]


def test_coverage_beats_random_choice() -> None:
    vectors = features.embed(clustered(600, 20))
    quality = np.ones(600)

    def covered(chosen: list[int]) -> float:
        return float((vectors @ vectors[chosen].T).clip(0, 1).max(axis=1).mean())

    rng = random.Random(1)
    drawn = [covered(rng.sample(range(600), 20)) for _ in range(20)]
    assert covered(selection.cover(vectors, quality, 20)) > max(drawn)


def test_choose_takes_a_row_of_every_topic_and_equal_shares_of_the_tasks() -> None:
    texts = clustered(300, 15)
    pool = [
        example(number, prompt=text, target=text, task="erd" if number % 3 else "ddl")
        for number, text in enumerate(texts)
    ]
    chosen = selection.choose(pool, 60, seed=0)
    assert Counter(row.task for row in chosen) == {"erd": 30, "ddl": 30}
    assert len({row.id for row in chosen}) == 60
    assert {row.id for row in selection.choose(pool, 60, seed=0)} != {
        row.id for row in replay.choose(pool, 60, 0)
    }


def test_the_choice_does_not_depend_on_the_order_of_the_pool() -> None:
    pool = [example(number, prompt=text) for number, text in enumerate(clustered(120, 10))]
    backwards = selection.choose(pool[::-1], 12, seed=3)
    assert selection.choose(pool, 12, seed=3) == backwards


def test_a_budget_that_takes_all_takes_all_and_one_of_nothing_nothing() -> None:
    pool = [example(number) for number in range(5)]
    assert {row.id for row in selection.choose(pool, 9, seed=0)} == {row.id for row in pool}
    assert selection.choose(pool, 0, seed=0) == ()
    assert selection.choose([], 9, seed=0) == ()


def test_given_quality_and_value_weigh_and_nonsense_is_refused() -> None:
    copies = [example(number, prompt="same", target="same") for number in range(6)]
    best = selection.choose(copies, 1, quality={"ex_4": 1.0, "ex_2": 0.3}, seed=0)
    assert best[0].id in {"ex_0", "ex_1", "ex_3", "ex_4", "ex_5"}
    only = {row.id: 0.1 for row in copies} | {"ex_4": 1.0}
    assert selection.choose(copies, 1, quality=only, seed=0)[0].id == "ex_4"
    valued = [example(n, prompt="same", target="same", value=n / 10) for n in range(6)]
    assert selection.choose(valued, 1, seed=0)[0].id == "ex_5"
    with pytest.raises(InputError, match=r"Quality 1\.5 of example ex_4"):
        selection.choose(copies, 1, quality={"ex_4": 1.5}, seed=0)


def test_a_large_pool_is_read_once_by_falling_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.concatenate([np.repeat(unit(30, 7, 40), 20, axis=0)])
    quality = np.linspace(1, 0, 600)
    taken = selection.stream(vectors, quality, 30)
    assert taken == list(range(0, 600, 20))  # the best of each bunch of copies
    filled = selection.stream(vectors, quality, 40)
    assert filled[:30] == taken
    assert filled[30:] == list(range(1, 11))
    monkeypatch.setattr(selection, "STREAM", 50)
    pool = [example(number, prompt=text) for number, text in enumerate(clustered(120, 10))]
    assert len(selection.choose(pool, 12, seed=3)) == 12


# --- features -----------------------------------------------------------------------------------


def test_features_tell_copies_variations_and_strangers_apart() -> None:
    texts = [
        "a customer has many orders with a status and a total price",
        "a customer has many orders with a status and a total amount",
        "A customer  has many ORDERS with a status and a total price",
        "Feature: the login page refuses a wrong password three times",
        *clustered(50, 20),
    ]
    vectors = features.embed(texts)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-5)
    near, copy, far = (float(vectors[0] @ vectors[place]) for place in (1, 2, 3))
    assert copy == pytest.approx(1, abs=1e-5)
    assert 0.6 < near < 0.999
    assert far < 0.5


@pytest.mark.parametrize("text", ["", " ", "?", "日本語", "\ud800", "a" * 100_000])
def test_features_of_any_text_are_finite(text: str) -> None:
    vectors = features.embed([text, "a customer has many orders"])
    assert np.isfinite(vectors).all()
    assert vectors.shape == (2, features.DIMENSIONS)
    assert features.embed([]).shape == (0, features.DIMENSIONS)
