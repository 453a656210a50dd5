"""Exact answers of two versions: gained and lost items, McNemar's test, and no perplexity."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from honewheel import gate
from honewheel.errors import InputError
from honewheel.evaluate import exact, metrics
from honewheel.evaluate.measure import Sides, measure
from honewheel.gate import Policy
from honewheel.records import EvalRow, Item, Prediction


def answers(version: str, right: list[bool]) -> list[EvalRow]:
    return [
        EvalRow(
            version=version,
            suite="s",
            task="grid",
            item=f"i{at}",
            group=f"g{at}",
            metrics={"score": float(one), "valid": float(one), "exact": float(one)},
            output="",
        )
        for at, one in enumerate(right)
    ]


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_test_is_the_exact_binomial_one(fixed, broken):
    found = exact.mcnemar(fixed, broken)
    expected = binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    assert found == pytest.approx(expected)
    assert found == exact.mcnemar(broken, fixed)


def test_gained_and_lost_items_are_told_with_their_intervals():
    before = [True] * 34 + [False] * 66
    after = [False] * 2 + [True] * 92 + [False] * 6
    found = exact.flips(answers("m@2", after), answers("m@1", before))
    assert (found.items, found.fixed, found.broken) == (100, 60, 2)
    assert (found.challenger.low, found.challenger.high) == metrics.wilson(92, 100)
    assert found.p < 0.001
    assert found.told == (
        "exact answers 34.0 % [25.5, 43.7] -> 92.0 % [85.0, 95.9] of 100 items; 60 fixed, 2 "
        "broken (McNemar p < 0.001)"
    )


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (3, 2), (5, 0)])
def test_what_chance_explains_is_no_measurable_change(fixed, broken):
    before = [False] * fixed + [True] * broken + [True] * 20
    after = [True] * fixed + [False] * broken + [True] * 20
    told = exact.flips(answers("m@2", after), answers("m@1", before)).told
    assert "no measurable change" in told


def test_versions_are_compared_on_the_same_items_only():
    with pytest.raises(InputError, match="different items"):
        exact.flips(answers("m@2", [True]), answers("m@1", [True, False]))
    with pytest.raises(InputError, match="no counts"):
        exact.mcnemar(-1, 0)


def test_the_gate_tells_what_changed_and_compares_each_difficulty():
    before, after = [False, True] * 40, [True, True] * 40
    sides = Sides(challenger=answers("m@2", after), champion=answers("m@1", before))
    bands = {"grid": {f"i{at}": "hard" if at % 2 == 0 else "easy" for at in range(80)}}
    found = measure({"grid": sides}, {}, trained=["grid"], policy=Policy(), bands=bands)
    assert {one.name: one.difference for one in found.slices} == {"grid/easy": 0, "grid/hard": 1}
    assert found.notes == (
        "grid: exact answers 50.0 % [39.3, 60.7] -> 100.0 % [95.4, 100.0] of 80 items; 40 fixed, "
        "0 broken (McNemar p < 0.001).",
    )
    decision = gate.decide(found, Policy(), challenger="m@2", champion="m@1")
    assert decision.verdict == "promote"
    assert found.notes[0] in decision.reasons
    plain = measure({"grid": sides}, {}, trained=["grid"], policy=Policy())
    assert (plain.notes, plain.slices) == ((), ())
    assert plain.primary == found.primary


def test_perplexity_is_no_metric_that_anything_is_promoted_by():
    """45,916 -> 25,594 with the same answers: nothing is better, whatever the loss says."""
    same = answers("m@1", [True, False] * 40)
    told = [row.metrics | {"confidence": 0.1} for row in same]
    better = [
        EvalRow(
            version="m@2",
            suite=row.suite,
            task=row.task,
            item=row.item,
            group=row.group,
            metrics=one | {"confidence": 0.9},
            output="",
        )
        for row, one in zip(same, told, strict=True)
    ]
    found = measure(
        {"grid": Sides(challenger=better, champion=same)},
        {},
        trained=["grid"],
        policy=Policy(),
        bands={"grid": {f"i{at}": "easy" for at in range(80)}},
    )
    decision = gate.decide(found, Policy(), challenger="m@2", champion="m@1")
    assert decision.verdict != "promote"
    assert "no measurable change" in " ".join(decision.reasons)
    item = Item(id="a", task="grid", prompt="p", reference="r", group="g")
    answer = Prediction(item="a", output="r", tokens=1)

    def compare(*_: object) -> dict[str, float]:
        return {"score": 1.0, "valid": 1.0, "exact": 1.0, "perplexity": math.exp(10.15)}

    with pytest.raises(InputError, match=r"'perplexity' of item a .* is 25591"):
        metrics.rows("m@2", "s", [item], [answer], compare)
