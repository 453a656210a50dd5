"""Test cases as files: CSV to review, Gherkin to read, pytest to run.

`test_cases.py` runs as it is: beside it stands `system.py`, the requirements as a function, which
a team replaces by a call of its own system.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from honewheel.errors import InputError
from honewheel.testcases.cases import Case, TestCases
from honewheel.testcases.fields import Requirements

HEADER = ("case", "subject", "technique", "value", "expected", "review", "comment")
CASES, ANSWERS = "cases.csv", "answers.json"

_PLAIN = re.compile(r"\W+")


def write(found: TestCases, folder: Path) -> tuple[Path, ...]:
    """Write every format into a new or empty folder; the paths written.

    Raises InputError when the folder holds something, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} holds something already; nothing was written. Name another.")
    texts = {
        CASES: table(found),
        f"{name(found.requirements)}.feature": feature(found),
        "test_cases.py": tests(found),
        "system.py": system(found.requirements),
        ANSWERS: answers(found),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}.") from error
    return tuple(folder / file for file in texts)


def name(found: Requirements) -> str:
    """The title as a file's name."""
    return _PLAIN.sub("_", found.title.lower()).strip("_") or "requirements"


def table(found: TestCases) -> str:
    """CSV with a column `review` to fill in; see `review`."""
    written = io.StringIO()
    sheet = csv.writer(written, lineterminator="\n")
    sheet.writerow(HEADER)
    for one in found.cases:
        sheet.writerow([one.id, one.subject, one.technique, one.value, one.expected, "", ""])
    return written.getvalue()


def feature(found: TestCases) -> str:
    """Gherkin: a scenario outline for each field and one for the combinations."""
    lines = [f"Feature: {found.requirements.title}", "", f"  # Test cases by {found.by}"]
    groups: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for one in found.cases:
        groups[one.technique, one.subject].append(one)
    for (technique, subject), cases in groups.items():
        lines += ["", *_outline(found.requirements, technique, subject, cases)]
    return "\n".join(lines) + "\n"


def _outline(found: Requirements, technique: str, subject: str, cases: Sequence[Case]) -> list[str]:
    if technique == "boundary":
        about = [subject]
        title = f"Boundaries of {subject}"
    else:
        about = [field.name for field in found.choices]
        title = f"Pairs of {', '.join(about)}"
    steps = [f'{"When" if not at else "And"} {one} is "<{one}>"' for at, one in enumerate(about)]
    rows = [[*about, "outcome"]]
    rows += [[*(one.inputs[name] for name in about), f"{one.expected}ed"] for one in cases]
    return [
        f"  Scenario Outline: {title}",
        "    Given every other field holds an allowed value",
        *(f"    {step}" for step in steps),
        "    Then the input is <outcome>",
        "",
        "    Examples:",
        *(f"      | {' | '.join(map(_cell, row))} |" for row in rows),
    ]


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def tests(found: TestCases) -> str:
    """A pytest module; it calls `system.accepts(inputs)` of the folder it stands in."""
    rows = "\n".join(f"    {_row(one)}," for one in found.cases)
    return f'''"""{found.requirements.title}: {len(found.cases)} test cases by {found.by}."""

import pytest
import system

# Name, what is entered, whether it is to be accepted.
CASES = [
{rows}
]


@pytest.mark.parametrize(("name", "inputs", "accepted"), CASES, ids=[one[0] for one in CASES])
def test_case(name, inputs, accepted):
    assert system.accepts(inputs) == accepted
'''


def _row(one: Case) -> str:
    title = f"{one.id} {one.subject}"
    return f"({title!r}, {dict(one.inputs)!r}, {one.expected == 'accept'})"


def system(found: Requirements) -> str:
    """The requirements as code: what the tests run against until a real system stands there."""
    ranges = {
        field.name: (field.type, str(field.low), str(field.high), str(field.step), field.required)
        for field in found.ranges
    }
    choices = {field.name: (list(field.values), field.required) for field in found.choices}
    never = [((one.field, one.value), (one.other, one.other_value)) for one in found.excluded]
    return f'''"""{found.title} as code. Put a call of your own system in place of `accepts`."""

from datetime import date
from decimal import Decimal, InvalidOperation

# Field: type, min, max, step, required. Days are counted from 0001-01-01, texts in characters.
RANGES = {_literal(ranges)}
# Field: values, required.
CHOICES = {_literal(choices)}
NEVER = {never!r}


def accepts(inputs):
    """Whether the requirements allow these inputs: a dict of field to text, "" for empty."""
    fits = all(in_range(inputs.get(name, ""), *rule) for name, rule in RANGES.items())
    known = all(
        inputs.get(name, "") in values or (inputs.get(name, "") == "" and not required)
        for name, (values, required) in CHOICES.items()
    )
    meets = any(all(inputs.get(name) == value for name, value in pair) for pair in NEVER)
    return fits and known and not meets


def in_range(text, kind, low, high, step, required):
    if text == "":
        return not required
    try:
        if kind == "date":
            number = Decimal(date.fromisoformat(text).toordinal())
        else:
            number = Decimal(len(text)) if kind == "text" else Decimal(text)
    except (ValueError, InvalidOperation):
        return False
    return Decimal(low) <= number <= Decimal(high) and number % Decimal(step) == 0
'''


def _literal(found: Mapping[str, object]) -> str:
    rows = "".join(f"    {key!r}: {value!r},\n" for key, value in found.items())
    return f"{{\n{rows}}}" if rows else "{}"


def answers(found: TestCases) -> str:
    """What the cases were made of, for `review`: fields, problems, outputs, findings."""
    fields = [
        {
            "name": one.name,
            "type": one.type,
            "required": one.required,
            "low": str(one.low),
            "high": str(one.high),
            "step": str(one.step),
            "values": list(one.values),
        }
        for one in found.requirements.fields
    ]
    answered = [
        {
            "kind": one.asked.kind,
            "subject": one.asked.subject,
            "prompt": one.asked.prompt,
            "output": one.output,
            "findings": [finding.message for finding in one.findings],
        }
        for one in found.answers
    ]
    cases = [
        {"case": one.id, "subject": one.subject, "value": one.value, "expected": one.expected}
        for one in found.cases
    ]
    whole = {
        "title": found.requirements.title,
        "by": found.by,
        "fields": fields,
        "answers": answered,
        "cases": cases,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
