"""Registries: built-ins come through entry points, and a wrong name is helped."""

from __future__ import annotations

import pytest

from honewheel import plugins
from honewheel.errors import ConfigError
from honewheel.protocols import Range


def test_built_ins_are_registered() -> None:
    assert {"mermaid-erd", "sql", "gherkin"} <= set(plugins.names(plugins.TASKS))
    assert plugins.task("sql").kind == "sql"
    assert plugins.family("causal-lm").name == "causal-lm"


def test_an_unknown_name_lists_or_suggests() -> None:
    with pytest.raises(ConfigError, match="Did you mean gherkin"):
        plugins.task("gerkin")
    with pytest.raises(ConfigError, match="Known: "):
        plugins.family("zzz")


@pytest.mark.parametrize(
    ("rule", "value", "problem"),
    [
        (Range(default=1e-3, low=1e-5, high=1e-2), 0.5, "outside 1e-05 .. 0.01"),
        (Range(default=1e-3, low=1e-5, high=1e-2), float("nan"), "outside"),
        (Range(default=8, low=1, high=64), 8.5, "whole number"),
        (Range(default="auto", words=("auto",), low=1e-5, high=0.1), "best", "nor auto"),
        (Range(default="auto", words=("auto",), low=1e-5, high=0.1), 0.5, "outside 1e-05 .. 0.1"),
        (Range(default=8, low=1, high=64), True, "not a number"),
        (Range(default="a", choices=("a", "b")), "c", "none of a, b"),
        (Range(default=True), 1, "not true or false"),
        (Range(default="text"), 1, "not text"),
    ],
)
def test_a_range_says_what_is_wrong(rule: Range, value: object, problem: str) -> None:
    assert problem in str(rule.problem(value))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (Range(default=1e-3, low=1e-5, high=1e-2), 1e-2),
        (Range(default=8, low=1, high=64), 1),
        (Range(default="a", choices=("a", "b")), "b"),
        (Range(default=True), False),
        (Range(default="text"), "other"),
    ],
)
def test_a_range_accepts_what_is_inside(rule: Range, value: object) -> None:
    assert rule.problem(value) is None  # type: ignore[arg-type]


def test_a_number_may_have_words_beside_it() -> None:
    rule = Range(default="auto", words=("auto",), low=1e-5, high=0.1)
    assert rule.problem("auto") is rule.problem(1e-3) is None
    assert rule.allowed == "auto, 1e-05 .. 0.1"
