"""The effect of a technique: right on planted differences, honest about noise."""

from __future__ import annotations

import numpy as np
import pytest

from honewheel.errors import InputError, NotEnoughData
from honewheel.evaluate.ablate import Effect, effect
from honewheel.records import EvalRow


def rows(scores: list[float], task: str = "erd") -> list[EvalRow]:
    return [
        EvalRow(
            version="x",
            suite="s",
            task=task,
            item=f"{task}{place}",
            group=f"{task}{place}",
            metrics={"score": score},
        )
        for place, score in enumerate(scores)
    ]


def trial(gain: float, *, seed: int, seeds: int = 3, wobble: float = 0.0) -> Effect:
    random = np.random.default_rng(seed)
    base = random.uniform(0.3, 0.6, 60)
    with_it, without = [], []
    for _ in range(seeds):
        noise, luck = random.normal(0, 0.1, (2, 60)), random.normal(0, wobble, 2)
        with_it.append(rows(list(base + gain + noise[0] + luck[0])))
        without.append(rows(list(base + noise[1] + luck[1])))
    return effect("x", with_it, without)


def test_a_planted_gain_is_found_with_its_size() -> None:
    found = trial(0.1, seed=1)
    assert found.answer == "helps"
    assert found.low < 0.1 < found.high
    assert found.difference == pytest.approx(found.with_it - found.without)
    assert trial(-0.1, seed=1).answer == "hurts"


def test_equal_arms_are_called_different_at_most_as_often_as_the_level_allows() -> None:
    """100 studies without any effect, each training with luck of its own: 5 % +- 3 sd."""
    wrong = sum(
        trial(0.0, seed=n, wobble=0.03).answer != "no measurable effect" for n in range(100)
    )
    assert wrong / 100 <= 0.05 + 3 * (0.05 * 0.95 / 100) ** 0.5


def test_the_luck_of_trainings_widens_the_interval() -> None:
    calm, wild = trial(0.05, seed=3), trial(0.05, seed=3, wobble=0.08)
    assert wild.high - wild.low > 1.5 * (calm.high - calm.low)


def test_every_task_counts_alike() -> None:
    left = [rows([1.0] * 30) + rows([0.0] * 3, "ddl")]
    right = [rows([0.0] * 30) + rows([0.0] * 3, "ddl")]
    assert effect("x", left, right).difference == pytest.approx(0.5)


def test_identical_answers_have_no_effect_and_no_width() -> None:
    found = effect("x", [rows([0.5] * 9)], [rows([0.5] * 9)])
    assert (found.low, found.high, found.answer) == (0.0, 0.0, "no measurable effect")


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="different items"):
        effect("x", [rows([0.5] * 9)], [rows([0.5] * 8)])
    with pytest.raises(InputError, match="each seed"):
        effect("x", [rows([0.5] * 9)], [])
    with pytest.raises(NotEnoughData):
        effect("x", [rows([0.5])], [rows([0.4])])
