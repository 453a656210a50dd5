"""Problems solved by difficulty: intervals, violations, coverage, the baseline and chance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from honewheel.errors import ParseError
from honewheel.evaluate import metrics
from honewheel.evaluate.profile import chance, profile
from honewheel.records import Item, Prediction
from honewheel.tasks.puzzle import base


def items(kind: str, count: int) -> list[Item]:
    task = base.task(kind)
    made = task.generate(task.sizes[0], task.rules[0], None, np.random.default_rng(0))
    return [
        Item(id=f"i{at}", task="t", prompt=one.prompt, reference=one.answer, group=f"g{at}")
        for at, one in enumerate(itertools.islice(made, count))
    ]


def rows(kind: str, some: list[Item], outputs: list[str]):
    answers = [
        Prediction(item=item.id, output=output, tokens=1)
        for item, output in zip(some, outputs, strict=True)
    ]
    return metrics.rows("m@1", "s", some, answers, base.task(kind).compare)


@pytest.mark.parametrize("kind", ["sudoku", "boundary-table", "pairwise"])
def test_the_exact_answers_are_all_right_and_the_baseline_is_where_it_is_said_to_be(kind):
    some = items(kind, 60)
    right = profile(some, rows(kind, some, [item.reference for item in some]))
    assert right[0].name == "all"
    assert right[0].items == sum(band.items for band in right[1:]) == 60
    assert [band.name for band in right[1:]] == [
        level for level in base.task(kind).levels if level in {band.name for band in right}
    ]
    assert right[0].exact.value == right[0].valid.value == 1
    assert right[0].violations == 0
    dumb = [base.of(item.prompt).baseline(item.prompt, {}) for item in some]
    low = profile(some, rows(kind, some, dumb))
    assert low[0].exact.value == pytest.approx(low[0].baseline)
    assert (low[0].exact.low, low[0].exact.high) == metrics.wilson(round(low[0].baseline * 60), 60)
    assert low[0].violations > 0
    assert low[0].chance < 0.01
    assert all(
        low[0].measures[name] <= right[0].measures[name] or name == "economy"
        for name in low[0].measures
    )


def test_coverage_stands_beside_the_lower_bound():
    some = items("boundary-table", 30)
    found = profile(
        some, rows("boundary-table", some, [one.reference + "\n99,reject" for one in some])
    )
    assert found[0].measures["boundary_coverage"] == 1
    assert found[0].measures["economy"] < 1
    assert found[0].exact.value < 1


def test_chance_is_one_digit_in_so_many_for_each_empty_cell():
    prompt = base.ask("sudoku", {"box": [2, 2], "grid": "123434122143432."})
    item = Item(id="a", task="t", prompt=prompt, reference="1", group="g")
    assert chance(item) == pytest.approx(1 / 4)


def test_what_is_no_problem_has_no_profile():
    item = Item(id="a", task="t", prompt="Draw it.", reference="x", group="g")
    with pytest.raises(ParseError, match="no puzzle"):
        profile([item], [])
