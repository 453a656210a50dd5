"""The latency budget: answers that take longer than allowed stop a challenger that gains."""

from __future__ import annotations

import math

import pytest

from gate_numbers import guard, numbers
from honewheel import gate
from honewheel.errors import ConfigError
from honewheel.gate import Evidence, Policy
from honewheel.records import Decision


def judged(
    seconds: tuple[float, float] | None,
    budget: float | None,
    tokens: tuple[float, float] | None = None,
) -> Decision:
    evidence = Evidence(
        primary=numbers(),
        trained=(numbers(),),
        guards=(guard(),),
        seconds=seconds,
        tokens=tokens,
    )
    policy = Policy(max_latency_ratio=budget)
    return gate.decide(evidence, policy, challenger="a@2", champion="a@1")


def test_within_the_budget_a_gain_is_promoted_and_the_times_are_told() -> None:
    found = judged((0.5, 0.6), 1.2)
    assert found.verdict == "promote"
    told = "latency: an answer takes 0.6 s, 0.5 s before (1.20x, allowed 1.2x)."
    assert found.reasons[-1] == told


def test_the_lengths_stand_beside_the_times_and_are_not_what_is_judged() -> None:
    found = judged((0.5, 0.55), 1.2, (100.0, 300.0))
    assert found.verdict == "promote"
    assert found.reasons[-1] == (
        "latency: an answer takes 0.55 s (300.0 tokens), 0.5 s (100.0 tokens) before "
        "(1.10x, allowed 1.2x)."
    )


def test_above_the_budget_it_is_refused() -> None:
    found = judged((1.0, 1.21), 1.2)
    assert found.verdict == "reject"
    assert found.reasons[0].endswith("(1.21x, allowed 1.2x): too slow.")


def test_without_a_budget_nothing_is_asked_and_nothing_said() -> None:
    found = judged((1.0, 9.0), None)
    assert found.verdict == "promote"
    assert not any("latency" in reason for reason in found.reasons)


@pytest.mark.parametrize("seconds", [None, (0.0, 5.0), (5.0, 0.0), (math.nan, 5.0)])
def test_a_budget_that_was_not_measured_never_promotes(
    seconds: tuple[float, float] | None,
) -> None:
    found = judged(seconds, 1.2)
    assert found.verdict == "undecided"
    assert "was not measured" in found.reasons[0]


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_a_budget_that_is_no_ratio_is_refused_by_name(wrong: float) -> None:
    with pytest.raises(ConfigError, match="max_latency_ratio"):
        Policy(max_latency_ratio=wrong)
