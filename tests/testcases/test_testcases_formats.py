"""Cases as files: the Gherkin is valid, the pytest runs and fails where a system is wrong."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from honewheel import plugins
from honewheel.errors import InputError
from honewheel.testcases import formats, requirements
from honewheel.testcases.cases import collect, solved
from honewheel.testcases.problems import problems
from honewheel.testcases.reference import by_oracle

SHIPPED = Path(__file__).parents[2] / "examples" / "test-cases" / "hotel-booking.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    formats.write(by_oracle(SHIPPED, rule="three-value-empty"), tmp_path / "cases")
    return tmp_path / "cases"


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_cases.py"]
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


def test_the_tests_run_against_the_requirements_as_code_and_catch_a_wrong_system(folder):
    found = run(folder)
    assert found.returncode == 0, found.stdout
    assert "52 passed" in found.stdout
    code = (folder / "system.py").read_text()
    (folder / "system.py").write_text(
        code.replace("'12'", "'11'").replace("('room', 'single')", "('room', 'suite')")
    )
    found = run(folder)
    assert found.returncode == 1
    assert "guests" in found.stdout


def test_the_feature_is_valid_gherkin_with_an_outline_for_each_field(folder):
    text = (folder / "hotel_booking_form.feature").read_text()
    check = plugins.task("gherkin").check(text, {})
    assert check.score == 1
    assert text.count("Scenario Outline:") == 7
    assert text.count("\n      |") == 52 + 7


def test_the_table_is_to_be_reviewed(folder):
    with (folder / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["case"] for row in rows}) == len(rows) == 52
    assert {row["review"] for row in rows} == {""}
    guests = [(row["value"], row["expected"]) for row in rows if row["subject"] == "guests"]
    assert guests[0] == ("0", "reject")
    assert guests[-1] == ("", "reject")


def test_every_case_brings_all_inputs_and_only_its_own_differ():
    found = by_oracle(SHIPPED)
    names = [field.name for field in found.requirements.fields]
    for case in found.cases:
        assert list(case.inputs) == names
    start = next(one for one in found.cases if one.subject == "guests").inputs
    nights = next(one for one in found.cases if one.subject == "nights").inputs
    assert {name for name in names if start[name] != nights[name]} == {"guests", "nights"}


def test_nothing_is_written_over(folder):
    with pytest.raises(InputError, match="holds something already"):
        formats.write(by_oracle(SHIPPED), folder)


def test_an_answer_that_cannot_be_read_brings_a_finding_and_no_case():
    found = requirements.read(SHIPPED)
    asked = problems(found, "two-value")
    outputs = solved(asked)
    outputs[0], outputs[-1] = "no table", "9 9 9 9"
    cases = collect(found, asked, outputs, "reasoner@1")
    assert {one.subject for one in cases.cases} == {one.subject for one in asked[1:-1]}
    assert cases.answers[0].findings[0].code == "syntax"
    with pytest.raises(InputError, match="None of the 7 answers of reasoner@1"):
        collect(found, asked, ["no table"] * 7, "reasoner@1")
