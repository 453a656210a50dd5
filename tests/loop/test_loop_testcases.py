"""Requirements to test cases to feedback to a promoted version, through the ordinary cycle."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import wheels
from honewheel.cli.app import USAGE, call
from honewheel.errors import InputError, NotFound
from honewheel.events import puzzles
from honewheel.tasks.puzzle.generate import Order

SHIPPED = Path(__file__).parents[2] / "examples" / "test-cases" / "hotel-booking.md"
TOML = """\
[project]
name = "tests"

[models.tester]
family = "rote"
base = "rote/blank"
tasks = ["bva", "pairs"]

[tasks.bva]
kind = "boundary-table"

[tasks.pairs]
kind = "pairwise"

[curate]
min_examples = 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "honewheel.toml").write_text(TOML)
    return tmp_path


@pytest.fixture
def wheel(folder: Path) -> Any:
    with wheels.open_wheel(folder) as found:
        yield found


def fill(wheel: Any, folder: Path) -> None:
    """Suites for both tasks, and demonstrations of the combinations."""
    for task, kind, count in (("bva", "boundary-table", 0), ("pairs", "pairwise", 30)):
        out = folder / f"{task}.jsonl" if count else None
        suite = folder / f"{task}-suite.jsonl"
        puzzles.make(Order(kind=kind), task=task, count=count, out=out, suite=40, suite_out=suite)
        wheel.suite_import(suite, task=task)
        if out:
            wheel.import_file(out)


def review(cases: Path) -> None:
    """Correct every table as a careful tester would: each value's neighbour outside is added."""
    with (cases / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    answers = json.loads((cases / "answers.json").read_text())
    new = []
    for field in (one for one in answers["fields"] if one["type"] == "integer"):
        for value in (int(field["low"]) - 1, int(field["high"]) + 1):
            new.append({"subject": field["name"], "value": str(value), "expected": "reject"})
    with (cases / "cases.csv").open("w", newline="") as file:
        sheet = csv.DictWriter(file, list(rows[0]))
        sheet.writeheader()
        sheet.writerows([*rows, *new])


def requirements(folder: Path, number: int) -> Path:
    """A form with six whole-number fields."""
    rows = ["field,type,min,max"]
    rows += [f"f{at},integer,{number + 7 * at + 2},{number + 9 * at + 40}" for at in range(6)]
    path = folder / f"form{number}.csv"
    path.write_text("\n".join(rows))
    return path


def test_reviewed_cases_become_a_version_that_writes_them_right(wheel: Any, folder: Path) -> None:
    fill(wheel, folder)
    with pytest.raises(NotFound, match="no trained version yet"):
        wheel.make_cases(SHIPPED)
    for number in range(5):
        out = folder / f"cases{number}"
        found = wheel.make_cases(requirements(folder, number), "tester@0", out=out)
        assert found.by == "tester@0"
        assert {one.findings[0].code for one in found.answers} == {"missing-value"}
        review(out)
        assert len(wheel.review_cases(out, source="ana")) == 6
    decision = wheel.cycle()
    assert decision.verdict == "promote", decision.reasons
    found = wheel.make_cases(SHIPPED, out=folder / "after")
    assert found.by == "tester@1"
    assert not any(one.findings for one in found.answers)
    assert (folder / "after" / "test_cases.py").is_file()


def test_a_review_without_words_or_with_wrong_ones_records_nothing(
    wheel: Any, folder: Path
) -> None:
    out = folder / "cases"
    wheel.make_cases(requirements(folder, 0), "tester@0", out=out)
    with pytest.raises(InputError, match="says nothing yet"):
        wheel.review_cases(out, source="ana")
    text = (out / "cases.csv").read_text().replace("accept,,", "accept,wrong,", 1)
    (out / "cases.csv").write_text(text)
    with pytest.raises(InputError, match="as reviewed"):
        wheel.review_cases(out, source="ana")
    assert wheel.store.log.last_seq() == 0


def test_a_task_is_chosen_where_several_would_do(folder: Path) -> None:
    more = TOML.replace('"pairs"]', '"pairs", "strict"]')
    (folder / "honewheel.toml").write_text(more + '[tasks.strict]\nkind = "boundary-table"\n')
    form = requirements(folder, 0)
    with wheels.open_wheel(folder) as wheel:
        with pytest.raises(InputError, match="bva, strict are of kind boundary-table"):
            wheel.make_cases(form, "tester@0")
        assert wheel.make_cases(form, "tester@0", tasks=["strict"]).cases
    without = TOML.replace(', "pairs"]', "]")
    (folder / "honewheel.toml").write_text(without)
    with (
        wheels.open_wheel(folder) as wheel,
        pytest.raises(InputError, match="no task of kind pairwise"),
    ):
        wheel.make_cases(SHIPPED, "tester@0")


def test_the_verbs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "reference"
    words = ["testcases", "make", str(SHIPPED), "--out", str(out)]
    assert call([*words, "--by", "oracle", "--rule", "three-value"]) == 0
    assert "by the oracle (exact; no model)" in capsys.readouterr().err
    assert call([*words, "--by", "oracle", "--version", "tester@0"]) == USAGE
    assert "asks no version" in capsys.readouterr().err
    here = ["-C", str(folder)]
    assert call([*here, *words[:-1], str(folder / "first"), "--version", "tester@0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["by"] == "tester@0"
    assert "guests" in told["findings"]
    assert call([*here, *words[:-1], str(folder / "second"), "--version", "tester@0"]) == 0
    assert "discount: 0 is not tested, which two-value asks for (1 stands for 0.5)" in (
        capsys.readouterr().err
    )
    text = (out / "cases.csv").read_text()
    (out / "cases.csv").write_text(text.replace(",,\n", ",ok,\n"))
    assert call([*here, "testcases", "review", str(out), "--source", "ana", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 7
