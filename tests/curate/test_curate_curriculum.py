"""Pacing: easy rows first, every row by 40 % of the training, and nothing else changed."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
from curate_builders import example
from hypothesis import given, settings
from hypothesis import strategies as st

from honewheel.curate import curriculum
from honewheel.errors import InputError
from honewheel.records import Example

difficulties = st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=40)
kinds = st.sampled_from(["competence", "stages"])


def rows(hardness: list[float], tasks: tuple[str, ...] = ("erd",)) -> list[Example]:
    return [
        example(number, difficulty=hard, task=tasks[number % len(tasks)])
        for number, hard in enumerate(hardness)
    ]


@settings(max_examples=40, deadline=None)
@given(difficulties, kinds)
def test_only_since_changes_and_everything_is_shown_by_forty_percent(
    hardness: list[float], kind: curriculum.Kind
) -> None:
    given_rows = rows(hardness, ("erd", "ddl"))
    paced = curriculum.pace(given_rows, kind=kind, seed=1)
    assert [replace(row, since=0.0) for row in paced] == given_rows
    assert all(0 <= row.since <= curriculum.UNTIL for row in paced)
    assert curriculum.pace(paced, kind="off", seed=1) == given_rows


@settings(max_examples=40, deadline=None)
@given(difficulties, kinds, st.randoms(use_true_random=False))
def test_harder_rows_never_come_earlier_and_the_order_given_does_not_matter(
    hardness: list[float], kind: curriculum.Kind, draw: object
) -> None:
    paced = curriculum.pace(rows(hardness), kind=kind, seed=1)
    ranked = sorted(paced, key=lambda row: (row.since, row.difficulty))
    assert [row.difficulty for row in ranked] == sorted(row.difficulty for row in paced)
    shuffled = rows(hardness)
    draw.shuffle(shuffled)  # type: ignore[attr-defined]
    again = curriculum.pace(shuffled, kind=kind, seed=1)
    assert sorted(again, key=lambda row: row.id) == sorted(paced, key=lambda row: row.id)


def competence(share: float) -> float:
    """Platanios et al. 2019, equation 7 with p = 2, c0 = 0.1 and T = 0.4 of the training."""
    return min(1.0, math.sqrt(share * (1 - 0.1**2) / 0.4 + 0.1**2))


def test_competence_opens_the_share_that_the_formula_says() -> None:
    paced = curriculum.pace(rows([n / 500 for n in range(500)]), kind="competence", seed=0)
    for share in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4):
        open_rows = sum(row.since <= share for row in paced) / len(paced)
        assert open_rows == pytest.approx(competence(share), abs=0.005)
    assert sum(row.since == 0 for row in paced) == 50


def test_since_is_the_inverse_of_competence() -> None:
    for rank in (0.1, 0.25, 0.6, 1.0):
        assert competence(curriculum.since(rank)) == pytest.approx(rank)
    assert curriculum.since(0.05) == 0


def test_stages_are_thirds_of_every_task() -> None:
    paced = curriculum.pace(
        rows([n / 60 for n in range(60)], ("erd", "ddl")), kind="stages", seed=0
    )
    for task in ("erd", "ddl"):
        found = Counter(row.since for row in paced if row.task == task)
        assert found == {0.0: 10, 0.2: 10, 0.4: 10}


def test_a_hard_task_is_not_held_back_as_a_whole() -> None:
    hard = [example(n, task="ddl", difficulty=0.9 + n / 1000) for n in range(30)]
    easy = [example(100 + n, difficulty=0.1 + n / 1000) for n in range(30)]
    paced = curriculum.pace([*hard, *easy], kind="competence", seed=0)
    first = Counter(row.task for row in paced if row.since == 0)
    assert first == {"ddl": 3, "erd": 3}


def test_ties_go_to_the_shorter_target_then_to_the_seed() -> None:
    long, short = example(1, target="a longer target"), example(2, target="short")
    paced = curriculum.pace([long, short], kind="stages", seed=0)
    assert paced[1].since < paced[0].since
    equal = [example(number, target="same") for number in range(40)]
    one, other = (curriculum.pace(equal, kind="competence", seed=seed) for seed in (0, 1))
    assert one == curriculum.pace(equal, kind="competence", seed=0)
    assert one != other


def test_an_unknown_curriculum_is_refused() -> None:
    with pytest.raises(InputError, match="choose off, competence, stages"):
        curriculum.pace([example(1)], kind="spiral", seed=0)  # type: ignore[arg-type]
    assert curriculum.pace([], kind="stages", seed=0) == []


def test_hard_first_is_the_stages_turned_round_and_easy_only_the_first_of_them() -> None:
    given = rows([n / 30 for n in range(30)])
    stages = {row.id: row.since for row in curriculum.pace(given, kind="stages", seed=0)}
    turned = {row.id: row.since for row in curriculum.pace(given, kind="hard-first", seed=0)}
    assert all(turned[name] == pytest.approx(curriculum.UNTIL - stages[name]) for name in stages)
    easy = curriculum.pace(given, kind="easy-only", seed=0)
    assert [row.id for row in easy] == [row.id for row in given if stages[row.id] == 0]
    assert len(easy) == 10
    assert all(row.since == 0 for row in easy)
