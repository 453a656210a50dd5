"""Test cases by the oracle: exact, of no model's making, and said to be so."""

from __future__ import annotations

from pathlib import Path

from honewheel.tasks.puzzle.boundary_table import RULES
from honewheel.testcases import requirements
from honewheel.testcases.cases import ORACLE, TestCases, collect, solved
from honewheel.testcases.problems import problems


def by_oracle(path: Path, *, rule: str = RULES[0]) -> TestCases:
    """The cases of a requirements file as the rules say. Raises InputError."""
    found = requirements.read(path)
    asked = problems(found, rule)
    return collect(found, asked, solved(asked), ORACLE)
