"""Reviewed cases: what was changed becomes the correction of an answer."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from honewheel.errors import InputError
from honewheel.testcases import formats, requirements, review
from honewheel.testcases.cases import collect, solved
from honewheel.testcases.problems import problems

SHIPPED = Path(__file__).parents[2] / "examples" / "test-cases" / "hotel-booking.md"
RIGHT = "value,expected\n0,reject\n1,accept\n12,accept\n13,reject"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Cases of a version that got guests wrong: 13 is accepted and 0 is missing."""
    found = requirements.read(SHIPPED)
    asked = problems(found, "two-value")
    outputs = solved(asked)
    outputs[0] = "value,expected\n1,accept\n12,accept\n13,accept"
    formats.write(collect(found, asked, outputs, "reasoner@1"), tmp_path / "cases")
    return tmp_path / "cases"


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def save(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "cases.csv").open("w", newline="") as file:
        sheet = csv.DictWriter(file, formats.HEADER)
        sheet.writeheader()
        sheet.writerows(rows)


def new(subject: str, value: str, expected: str) -> dict[str, str]:
    return dict.fromkeys(formats.HEADER, "") | {
        "subject": subject,
        "value": value,
        "expected": expected,
    }


def test_nothing_said_is_no_remark(folder):
    assert review.read(folder) == ()


def test_a_wrong_and_a_missing_case_correct_the_answer(folder):
    rows = lines(folder)
    rows[2] |= {"review": "wrong", "comment": "13 is a group"}
    save(folder, [*rows, new("guests", "0", "reject")])
    (remark,) = review.read(folder)
    assert remark.correction == RIGHT
    row = remark.row("bva", "ana")
    assert row["output"].endswith("13,accept")
    assert row == {
        "task": "bva",
        "prompt": remark.asked.prompt,
        "source": "ana",
        "output": remark.output,
        "version": "reasoner@1",
        "correction": RIGHT,
        "comment": "13 is a group",
    }


def test_values_and_outcomes_may_be_edited(folder):
    rows = lines(folder)
    rows[2] |= {"expected": "reject"}
    rows[1] |= {"value": "0", "expected": "reject"}
    save(folder, [*rows, new("guests", "12", "accept")])
    assert review.read(folder)[0].correction == RIGHT


def test_a_case_too_many_is_removed(folder):
    rows = lines(folder)
    pairs = [row for row in rows if row["technique"] == "pairwise"]
    rows = [*rows, new("all choices", pairs[0]["value"].replace("flex", "saver"), "accept")]
    save(folder, rows)
    (remark,) = review.read(folder)
    assert len((remark.correction or "").splitlines()) == len(pairs) + 1
    pairs[0]["review"] = "remove"
    save(folder, rows)
    with pytest.raises(InputError, match="all choices: as reviewed"):  # its pairs are gone
        review.read(folder)


def test_a_value_with_both_verdicts_is_two_cases_of_which_one_is_removed(tmp_path):
    found = requirements.read(SHIPPED)
    asked = problems(found, "two-value")
    outputs = solved(asked)
    outputs[0] = RIGHT + "\n12,reject"
    formats.write(collect(found, asked, outputs, "reasoner@1"), tmp_path / "cases")
    rows = lines(tmp_path / "cases")
    twice = [row for row in rows if (row["subject"], row["value"]) == ("guests", "12")]
    assert len({row["case"] for row in twice}) == 2
    twice[1]["review"] = "remove"
    save(tmp_path / "cases", rows)
    assert review.read(tmp_path / "cases")[0].correction == RIGHT


def test_all_ok_is_accepted_and_a_part_of_it_is_not(folder):
    rows = lines(folder)
    nights = [row for row in rows if row["subject"] == "nights"]
    for row in nights[1:]:
        row["review"] = "ok"
    save(folder, rows)
    assert review.read(folder) == ()
    nights[0]["review"] = "OK"
    save(folder, rows)
    (remark,) = review.read(folder)
    assert remark.correction is None
    assert remark.row("bva", "ana")["thumb"] == 1


def test_what_the_oracle_wrote_is_shown_and_no_models_answer(folder):
    text = (folder / "answers.json").read_text()
    (folder / "answers.json").write_text(text.replace('"by": "reasoner@1"', '"by": "oracle"'))
    rows = lines(folder)
    for row in rows:
        row["review"] = "ok" if row["subject"] == "nights" else ""
    save(folder, rows)
    (remark,) = review.read(folder)
    found = remark.row("bva", "ana")
    assert found["demonstration"] == remark.output
    assert "version" not in found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows[1].update(review="bad"), "line 3: the review is 'bad'"),
        (lambda rows: rows[1].update(case="boundary-1"), "line 3 is no case"),
        (lambda rows: rows[1].update(subject="rooms"), "no subject 'rooms'"),
        (lambda rows: rows.pop(1), "0 times"),
        (lambda rows: rows.append(dict(rows[1])), "2 times"),
        (lambda rows: rows[1].update(expected="maybe"), "expects 'maybe'"),
        (lambda rows: rows[1].update(value="two"), "is no number"),
        (lambda rows: rows[1].update(value="1.5"), "no multiple"),
        (lambda rows: rows[1].update(value="-3"), "further below"),
        (lambda rows: rows[1].update(review="wrong"), "guests: as reviewed, 12 is to be accepted"),
        (lambda rows: rows[-1].update(value="room=single"), "names each of room, view"),
        (lambda rows: rows[-1].update(value=rows[-1]["value"] + "x"), "rate has no value"),
        (lambda rows: rows[-1].update(expected="reject"), "accepted, or removed"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(folder, change, told):
    rows = lines(folder)
    change(rows)
    save(folder, rows)
    with pytest.raises(InputError, match=told):
        review.read(folder)


def test_a_folder_without_cases_is_refused(tmp_path, folder):
    with pytest.raises(InputError, match="testcases make has written"):
        review.read(tmp_path)
    (folder / "cases.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no column 'case'"):
        review.read(folder)
