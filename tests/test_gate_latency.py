"""The latency budget: answers that grow longer than allowed stop a challenger that gains."""

from __future__ import annotations

import math

import pytest

from gate_numbers import guard, numbers
from honewheel import gate
from honewheel.errors import ConfigError
from honewheel.gate import Evidence, Policy
from honewheel.records import Decision


def judged(tokens: tuple[float, float] | None, budget: float | None) -> Decision:
    evidence = Evidence(primary=numbers(), trained=(numbers(),), guards=(guard(),), tokens=tokens)
    policy = Policy(max_latency_ratio=budget)
    return gate.decide(evidence, policy, challenger="a@2", champion="a@1")


def test_within_the_budget_a_gain_is_promoted_and_the_lengths_are_told() -> None:
    found = judged((100.0, 120.0), 1.2)
    assert found.verdict == "promote"
    assert found.reasons[-1] == (
        "latency: an answer takes 120.0 tokens, 100.0 before (1.20x, allowed 1.2x)."
    )


def test_above_the_budget_it_is_refused() -> None:
    found = judged((100.0, 121.0), 1.2)
    assert found.verdict == "reject"
    assert found.reasons[0].endswith("(1.21x, allowed 1.2x): too slow.")


def test_without_a_budget_nothing_is_asked_and_nothing_said() -> None:
    found = judged((100.0, 900.0), None)
    assert found.verdict == "promote"
    assert not any("latency" in reason for reason in found.reasons)


@pytest.mark.parametrize("tokens", [None, (0.0, 5.0), (5.0, 0.0), (math.nan, 5.0)])
def test_a_budget_that_was_not_measured_never_promotes(
    tokens: tuple[float, float] | None,
) -> None:
    found = judged(tokens, 1.2)
    assert found.verdict == "undecided"
    assert "was not measured" in found.reasons[0]


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_a_budget_that_is_no_ratio_is_refused_by_name(wrong: float) -> None:
    with pytest.raises(ConfigError, match="max_latency_ratio"):
        Policy(max_latency_ratio=wrong)
