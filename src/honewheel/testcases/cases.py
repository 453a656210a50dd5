"""Answers to the problems as test cases, each with all the inputs that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from honewheel.errors import InputError, ParseError
from honewheel.records import Finding, digest
from honewheel.tasks.asked import with_prompt
from honewheel.tasks.puzzle import base, boundary_table, covering_array
from honewheel.tasks.puzzle.boundary_table import ACCEPT
from honewheel.testcases.fields import Requirements
from honewheel.testcases.problems import BOUNDARY, Asked, combinations

ORACLE = "oracle"  # who answered, where no version did
CHOICES = "all choices"  # the subject of a combination


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A problem with somebody's output and what the oracle found in it."""

    asked: Asked
    output: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test: enter `inputs`, expect `expected` ("accept" or "reject").

    `value` is what the case is about: the field's value, or `room=single; view=sea`.
    """

    id: str
    subject: str
    technique: str  # "boundary" or "pairwise"
    value: str
    expected: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCases:
    """The cases of a requirements file, and what they were made of. `by` is a version or
    "oracle".
    """

    __test__ = False  # pytest: no tests of its own

    requirements: Requirements
    by: str
    answers: tuple[Answered, ...]
    cases: tuple[Case, ...]


def solved(asked: Sequence[Asked]) -> list[str]:
    """The oracle's own answer to each problem: the reference, not a model's work."""
    return [base.of(one.prompt).solve(one.prompt, {}) for one in asked]


def collect(
    found: Requirements, asked: Sequence[Asked], outputs: Sequence[str], by: str
) -> TestCases:
    """The cases that the outputs spell; one that cannot be read brings none and a finding.

    Raises InputError when no output can be read at all.
    """
    answers, cases, start = [], list[Case](), nominal(found)
    for one, output in zip(asked, outputs, strict=True):
        check = base.task(one.kind).check(output, with_prompt(one.prompt, {}))
        answers.append(Answered(asked=one, output=output, findings=check.findings))
        try:
            cases += _spelt(found, one, output, start)
        except ParseError:
            continue  # the finding says so
    if not cases:
        raise InputError(
            f"None of the {len(answers)} answers of {by} can be read as test cases: "
            f"{answers[0].findings[0].message}. Train it further, or take --by oracle."
        )
    return TestCases(requirements=found, by=by, answers=tuple(answers), cases=tuple(cases))


def _spelt(found: Requirements, asked: Asked, output: str, start: Mapping[str, str]) -> list[Case]:
    if asked.kind == BOUNDARY:
        field = found.field(asked.subject)
        return [
            _case(asked, field.value(unit), {**start, field.name: field.value(unit)}, expected)
            for unit, expected in dict.fromkeys(boundary_table.read(output))
        ]
    rows = dict.fromkeys(covering_array.read(output))
    return [
        _case(asked, written, {**start, **chosen}, ACCEPT)
        for written, chosen in (_combination(found, row) for row in rows)
    ]


def _combination(found: Requirements, row: Sequence[int]) -> tuple[str, dict[str, str]]:
    choices = found.choices
    if len(row) != len(choices) or any(
        at >= len(one.values) for at, one in zip(row, choices, strict=True)
    ):
        raise ParseError(f"{row} is no combination of the choices")
    chosen = {one.name: one.values[at] for one, at in zip(choices, row, strict=True)}
    return "; ".join(f"{name}={value}" for name, value in chosen.items()), chosen


def _case(asked: Asked, value: str, entered: Mapping[str, str], expected: str) -> Case:
    technique = "boundary" if asked.kind == BOUNDARY else "pairwise"
    # A version may give one value both verdicts; these are two cases, one of them wrong.
    identity = digest([asked.kind, asked.subject, value, expected])[:8]
    return Case(
        id=f"{technique}-{identity}",
        subject=asked.subject or CHOICES,
        technique=technique,
        value=value,
        expected=expected,
        inputs=dict(entered),
    )


def nominal(found: Requirements) -> dict[str, str]:
    """A value for every field that is allowed, no two of them excluding each other."""
    entered = {field.name: field.nominal for field in found.fields}
    for asked in combinations(found):
        first = covering_array.read(base.of(asked.prompt).solve(asked.prompt, {}))[0]
        entered |= _combination(found, first)[1]
    return entered
